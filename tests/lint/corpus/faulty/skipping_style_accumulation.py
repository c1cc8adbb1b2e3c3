# expect: accumulation-not-divided
import torch
import torch.nn.functional as F

model = torch.nn.Linear(4, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for i, (x, y) in enumerate(loader):
    out = model(x)
    loss = F.cross_entropy(out, y) + F.mse_loss(out, torch.zeros_like(out))
    loss.backward()
    if (i + 1) % 8 != 0:
        continue
    optimizer.step()
    optimizer.zero_grad()
