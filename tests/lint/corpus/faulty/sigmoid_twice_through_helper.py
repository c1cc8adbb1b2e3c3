# expect: sigmoid-before-bce-with-logits
import torch
import torch.nn.functional as F
from torch import nn

net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1))


def predict(x):
    return torch.sigmoid(net(x))


def loss_of(x, y):
    p = predict(x)
    return F.binary_cross_entropy_with_logits(p.squeeze(-1), y)
