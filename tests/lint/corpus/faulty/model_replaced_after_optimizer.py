# expect: stale-optimizer
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(4, width)


def main():
    model = Net(16)
    optimizer = torch.optim.Adam(model.parameters())
    model = Net(32)
    return model, optimizer
