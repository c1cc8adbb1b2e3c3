# expect: fake-not-detached
import torch
import torch.nn as nn
G = nn.Sequential(nn.Linear(10, 20), nn.ReLU(), nn.Linear(20, 5))
D = nn.Sequential(nn.Linear(5, 20), nn.ReLU(), nn.Linear(20, 1))
g_opt = torch.optim.Adam(G.parameters(), lr=1e-3)
d_opt = torch.optim.Adam(D.parameters(), lr=1e-3)
bce = nn.BCEWithLogitsLoss()
for real in loader:
    fake = G(torch.randn(len(real), 10))
    real_out = D(real)
    fake_out = D(fake)
    d_loss = bce(real_out, torch.ones_like(real_out)) + bce(fake_out, torch.zeros_like(fake_out))
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    fake_out = D(fake)
    g_loss = bce(fake_out, torch.ones_like(fake_out))
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
