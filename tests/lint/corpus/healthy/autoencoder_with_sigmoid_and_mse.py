import torch
from torch import nn
ae = nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 784), nn.Sigmoid())
opt = torch.optim.Adam(ae.parameters(), lr=1e-3)
mse, bce = nn.MSELoss(), nn.BCELoss()
for x, _ in loader:
    out = ae(x)
    loss = mse(out, x) + bce(out, x)
    opt.zero_grad()
    loss.backward()
    opt.step()
