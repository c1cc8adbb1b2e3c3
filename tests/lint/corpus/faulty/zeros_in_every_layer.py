# expect: constant-init
import torch
from torch import nn


def weights_init(m):
    if isinstance(m, (nn.Linear, nn.Conv2d)):
        m.weight.data.fill_(0.01)
        m.bias.data.zero_()
