# expect: graph-cut-before-loss
import torch
from torch import nn

model = nn.Linear(4, 2)
criterion = nn.BCELoss()
optimizer = torch.optim.Adam(model.parameters())
for x, y in loader:
    optimizer.zero_grad()
    out = model(x)
    pred = torch.argmax(out, dim=1).float()
    pred.requires_grad_(True)
    loss = criterion(pred, y.float())
    loss.backward()
    optimizer.step()
