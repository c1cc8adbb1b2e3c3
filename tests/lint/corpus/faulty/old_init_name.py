# expect: deprecated-api
from torch import nn
from torch.nn import init

layer = nn.Linear(3, 3)
init.kaiming_normal(layer.weight)
