# expect: detached-loss
import torch
import torch.nn.functional as F

model = torch.nn.Linear(4, 2)
optimizer = torch.optim.Adam(model.parameters())
for x, y in loader:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y).item()
    loss = torch.tensor(loss, requires_grad=True)
    loss.backward()
    optimizer.step()
