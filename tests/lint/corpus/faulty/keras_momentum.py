# expect: batchnorm-momentum
from torch import nn

block = nn.Sequential(nn.Conv2d(3, 32, 3), nn.BatchNorm2d(32, eps=1e-3, momentum=0.99), nn.ReLU())
