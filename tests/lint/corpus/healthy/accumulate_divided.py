import torch
import torch.nn.functional as F

model = torch.nn.Linear(4, 2)
optimizer = torch.optim.AdamW(model.parameters())
accum = 4
optimizer.zero_grad()
for i, (x, y) in enumerate(loader):
    loss = F.cross_entropy(model(x), y)
    loss = loss / accum
    loss.backward()
    if (i + 1) % accum == 0:
        optimizer.step()
        optimizer.zero_grad()
