# expect: accumulation-not-divided
import torch
import torch.nn.functional as F

model = torch.nn.Linear(4, 4).cuda()
optimizer = torch.optim.Adam(model.parameters())
scaler = torch.amp.GradScaler()
for i, (x, y) in enumerate(loader):
    with torch.autocast("cuda", torch.float16):
        loss = F.mse_loss(model(x), y)
    scaler.scale(loss).backward()
    if i % 8 == 7:
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
