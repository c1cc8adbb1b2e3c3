# expect: module-built-in-forward
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        x = self.conv(x).flatten(1)
        fc = nn.Linear(x.shape[1], 10).to(x.device)
        return fc(x)
