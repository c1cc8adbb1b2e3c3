import torch
import torch.nn.functional as F

model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
k = 4
for i, (x, y) in enumerate(loader):
    F.cross_entropy(model(x), y).backward()
    if (i + 1) % k == 0:
        for p in model.parameters():
            p.grad.div_(k)
        optimizer.step()
        optimizer.zero_grad()
