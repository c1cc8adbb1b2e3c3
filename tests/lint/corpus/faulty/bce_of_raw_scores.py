# expect: loss-input-mismatch
import torch
import torch.nn.functional as F
from torch import nn

model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
for x, y in loader:
    loss = F.binary_cross_entropy(model(x), y)
