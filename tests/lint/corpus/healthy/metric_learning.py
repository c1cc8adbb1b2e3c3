import torch
from torch import nn
class ArcFace(nn.Module):
    def __init__(self, d, n):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n, d))
    def forward(self, x, y):
        cos = nn.functional.linear(nn.functional.normalize(x), nn.functional.normalize(self.weight))
        theta = torch.acos(cos.clamp(-1 + 1e-7, 1 - 1e-7))
        return nn.functional.cross_entropy(cos * 30, y)
backbone = nn.Linear(4, 8)
head = ArcFace(8, 10)
optimizer = torch.optim.SGD([{"params": backbone.parameters()}, {"params": head.parameters()}], lr=0.1)
for x, y in loader:
    optimizer.zero_grad()
    loss = head(backbone(x), y)
    loss.backward()
    optimizer.step()
