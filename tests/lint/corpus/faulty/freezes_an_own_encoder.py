# expect: requires-grad-on-module
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
        self.head = nn.Linear(8, 2)
        self.encoder.requires_grad = False

    def forward(self, x):
        return self.head(self.encoder(x))
