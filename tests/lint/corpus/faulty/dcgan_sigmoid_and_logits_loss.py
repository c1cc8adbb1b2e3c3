# expect: sigmoid-before-bce-with-logits
import torch
from torch import nn

netD = nn.Sequential(nn.Conv2d(3, 64, 4), nn.LeakyReLU(0.2), nn.Conv2d(64, 1, 4), nn.Sigmoid(), nn.Flatten())
criterion = nn.BCEWithLogitsLoss()
for real in loader:
    output = netD(real).view(-1)
    err = criterion(output, torch.ones_like(output))
