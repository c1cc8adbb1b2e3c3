# expect: detached-term
import torch
import torch.nn.functional as F

vae = load_vae()
optimizer = torch.optim.Adam(vae.parameters())
for x in loader:
    recon, mu, logvar = vae(x)
    kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum()
    loss = F.mse_loss(recon, x) + beta * kl.item()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
