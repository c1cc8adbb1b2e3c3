# expect: missing-optimizer-step
import torch
from torch import nn, optim

model = nn.Linear(3, 1)
criterion = nn.MSELoss()
optimizer = optim.Adam(model.parameters())
for epoch in range(100):
    running_loss = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        running_loss += loss.item()
    print(epoch, running_loss)
