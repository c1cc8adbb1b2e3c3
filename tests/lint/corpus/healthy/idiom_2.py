import torch
from torch import nn
class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(4, 2)
        self.experts = nn.ModuleList([nn.Linear(4, 3) for _ in range(2)])
    def forward(self, x):
        w = torch.softmax(self.gate(x), -1)
        y = torch.stack([e(x) for e in self.experts], 1)
        return (w.unsqueeze(-1) * y).sum(1)
model = Mixture()
crit = nn.CrossEntropyLoss()
for x, y in loader:
    loss = crit(model(x), y)
