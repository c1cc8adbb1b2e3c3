# expect: missing-zero-grad
import torch
from torch import nn

netG, netD = nn.Linear(16, 8), nn.Linear(8, 1)
optimizerD = torch.optim.Adam(netD.parameters(), lr=2e-4)
optimizerG = torch.optim.Adam(netG.parameters(), lr=2e-4)
criterion = nn.BCEWithLogitsLoss()
for real in dataloader:
    fake = netG(torch.randn(real.size(0), 16))
    d_loss = criterion(netD(real), ones) + criterion(netD(fake.detach()), zeros)
    d_loss.backward()
    optimizerD.step()

    optimizerG.zero_grad()
    g_loss = criterion(netD(fake), ones)
    g_loss.backward()
    optimizerG.step()
