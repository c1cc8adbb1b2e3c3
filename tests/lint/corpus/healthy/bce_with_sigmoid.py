import torch
from torch import nn

D = nn.Sequential(nn.Linear(784, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1), nn.Sigmoid())
criterion = nn.BCELoss()
for x in loader:
    out = D(x)
    loss = criterion(out, torch.ones_like(out))
