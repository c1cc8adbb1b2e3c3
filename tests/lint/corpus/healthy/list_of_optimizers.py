import torch

optimizers = [torch.optim.Adam(m.parameters()) for m in models]
schedulers = [torch.optim.lr_scheduler.LambdaLR(o, warm) for o in optimizers]
for x, y in loader:
    loss = compute(models, x, y)
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()
    for scheduler in schedulers:
        scheduler.step()
