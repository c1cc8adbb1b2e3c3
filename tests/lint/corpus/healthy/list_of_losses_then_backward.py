import torch
import torch.nn.functional as F

model = torch.nn.Linear(4, 3)
optimizer = torch.optim.Adam(model.parameters())
for batch in loader:
    losses = []
    for x, y in batch:
        losses.append(F.cross_entropy(model(x), y))
    total = torch.stack(losses).mean()
    optimizer.zero_grad()
    total.backward()
    optimizer.step()
