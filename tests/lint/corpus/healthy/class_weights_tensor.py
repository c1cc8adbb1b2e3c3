import torch
from torch import nn

weights = torch.tensor([0.2, 0.8])
criterion = nn.CrossEntropyLoss(weights)
huber = nn.SmoothL1Loss(beta=0.1)
