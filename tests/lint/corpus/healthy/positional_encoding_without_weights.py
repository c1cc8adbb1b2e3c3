import torch
from torch import nn
class Fourier(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.register_buffer("b", torch.randn(2, n))
    def forward(self, x):
        return torch.cat([torch.sin(x @ self.b), torch.cos(x @ self.b)], -1)
class NeRF(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3), nn.Sigmoid())
    def forward(self, x):
        return self.net(x)
encode = Fourier(32)
field = NeRF()
optimizer = torch.optim.Adam(field.parameters(), lr=5e-4)
for step in range(1000):
    rays, rgb = sample()
    pred = field(encode(rays))
    loss = nn.functional.mse_loss(pred, rgb)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
