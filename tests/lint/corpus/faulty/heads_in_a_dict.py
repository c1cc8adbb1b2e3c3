# expect: modules-in-plain-container
from torch import nn


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.fc = nn.Linear(d, d)

    def forward(self, x):
        return x + self.fc(x)


class MultiHead(nn.Module):
    def __init__(self, names):
        super().__init__()
        self.trunk = Block(16)
        self.heads = {name: Block(16) for name in names}

    def forward(self, x):
        return {name: head(self.trunk(x)) for name, head in self.heads.items()}
