# expect: untrained-module
import torch
from torch import nn

encoder = nn.Sequential(nn.Linear(784, 64), nn.ReLU())
decoder = nn.Sequential(nn.Linear(64, 784), nn.Sigmoid())
optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)
for x, _ in loader:
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(decoder(encoder(x)), x)
    loss.backward()
    optimizer.step()
