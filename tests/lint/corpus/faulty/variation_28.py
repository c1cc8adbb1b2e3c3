# expect: dropout-rate
import torch.nn as nn
net = nn.Sequential(nn.Linear(3, 3), nn.Dropout(p=0.95), nn.Linear(3, 1))
