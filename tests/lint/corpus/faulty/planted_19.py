# expect: scheduler-before-optimizer-step
import torch
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1, s / 100))
for step, batch in enumerate(loader):
    scheduler.step()
    optimizer.zero_grad()
    loss = model(batch).loss
    loss.backward()
    optimizer.step()
