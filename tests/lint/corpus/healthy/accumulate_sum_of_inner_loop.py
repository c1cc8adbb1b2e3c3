import torch
import torch.nn.functional as F

model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(10):
    optimizer.zero_grad()
    for x, y in loader:
        (F.cross_entropy(model(x), y, reduction="sum") / num_items).backward()
    optimizer.step()
