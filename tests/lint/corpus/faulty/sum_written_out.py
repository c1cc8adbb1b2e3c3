# expect: retained-loss
import torch
import torch.nn.functional as F

model = torch.nn.Linear(3, 1)
optimizer = torch.optim.Adam(model.parameters())
running = 0
for x, y in loader:
    optimizer.zero_grad()
    loss = F.mse_loss(model(x), y)
    loss.backward()
    optimizer.step()
    running = running + loss
