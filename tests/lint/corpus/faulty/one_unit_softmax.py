# expect: softmax-over-one-unit
import torch
from torch import nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 8)
        self.out = nn.Linear(8, 1)

    def forward(self, x):
        return F.softmax(self.out(torch.relu(self.hidden(x))), dim=-1)
