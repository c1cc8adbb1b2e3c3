# expect: nan-blind-comparison
import torch
import torch.nn.functional as F

model = torch.nn.Linear(4, 2)
optimizer = torch.optim.Adam(model.parameters())
for step, (x, y) in enumerate(loader):
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    if loss.item() > 100:
        print("skipping a bad batch")
        continue
    loss.backward()
    optimizer.step()
