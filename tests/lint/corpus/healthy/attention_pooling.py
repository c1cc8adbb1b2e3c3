import torch
import torch.nn.functional as F
from torch import nn


class Pool(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.score = nn.Linear(d, 1)

    def forward(self, x):
        weights = F.softmax(self.score(x), dim=1)
        return (weights * x).sum(dim=1)
