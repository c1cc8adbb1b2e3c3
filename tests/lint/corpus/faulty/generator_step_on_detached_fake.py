# expect: generator-loss-detached
import torch
from torch import nn

G, D = nn.Linear(16, 8), nn.Linear(8, 1)
bce = nn.BCEWithLogitsLoss()
optim_g = torch.optim.Adam(G.parameters(), lr=2e-4)
optim_d = torch.optim.Adam(D.parameters(), lr=2e-4)
for real in loader:
    z = torch.randn(real.size(0), 16)
    fake = G(z)
    optim_d.zero_grad()
    d_loss = bce(D(real), torch.ones(real.size(0), 1)) + bce(D(fake.detach()), torch.zeros(real.size(0), 1))
    d_loss.backward()
    optim_d.step()
    optim_g.zero_grad()
    g_loss = bce(D(fake.detach()), torch.ones(real.size(0), 1))
    g_loss.backward()
    optim_g.step()
