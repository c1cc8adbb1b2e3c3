import itertools
import torch

optimizer_G = torch.optim.Adam(itertools.chain(netG_A.parameters(), netG_B.parameters()), lr=2e-4)
optimizer_D = torch.optim.Adam(itertools.chain(netD_A.parameters(), netD_B.parameters()), lr=2e-4)
for real_A, real_B in loader:
    fake_B, fake_A = netG_A(real_A), netG_B(real_B)
    for p in itertools.chain(netD_A.parameters(), netD_B.parameters()):
        p.requires_grad = False
    optimizer_G.zero_grad()
    loss_G = gan(netD_A(fake_B), True) + gan(netD_B(fake_A), True)
    loss_G.backward()
    optimizer_G.step()
    for p in itertools.chain(netD_A.parameters(), netD_B.parameters()):
        p.requires_grad = True
    optimizer_D.zero_grad()
    loss_D = gan(netD_A(pool.query(fake_B).detach()), False) + gan(netD_A(real_B), True)
    loss_D.backward()
    optimizer_D.step()
