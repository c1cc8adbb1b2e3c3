# expect: optimizer-before-move
import torch
from torch import nn


class Experiment:
    def __init__(self, device):
        self.model = nn.Linear(3, 3)
        self.optimizer = torch.optim.Adadelta(self.model.parameters())
        self.model.to(device)
