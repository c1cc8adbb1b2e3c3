import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self, p=0.1):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.p = p

    def forward(self, x):
        x = F.dropout(x, self.p, self.training)
        x = F.dropout(x, p=self.p, training=self.training)
        return F.dropout2d(self.fc(x), self.p, training=True)
