# expect: clip-after-step
import torch
import torch.nn.functional as F

model = torch.nn.Linear(3, 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in loader:
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    loss.backward()
    optimizer.step()
