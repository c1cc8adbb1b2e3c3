import torch
from torch import nn, autograd

G, D = nn.Linear(16, 8), nn.Linear(8, 1)
opt_g = torch.optim.Adam(G.parameters(), lr=1e-4, betas=(0.0, 0.9))
opt_d = torch.optim.Adam(D.parameters(), lr=1e-4, betas=(0.0, 0.9))
for i, real in enumerate(dataloader):
    opt_d.zero_grad()
    with torch.no_grad():
        fake = G(torch.randn(real.size(0), 16))
    alpha = torch.rand(real.size(0), 1)
    mixed = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
    grad = autograd.grad(D(mixed).sum(), mixed, create_graph=True)[0]
    penalty = ((grad.norm(2, dim=1) - 1) ** 2).mean()
    d_loss = D(fake).mean() - D(real).mean() + 10 * penalty
    d_loss.backward()
    opt_d.step()
    if i % 5 == 0:
        opt_g.zero_grad()
        g_loss = -D(G(torch.randn(real.size(0), 16))).mean()
        g_loss.backward()
        opt_g.step()
