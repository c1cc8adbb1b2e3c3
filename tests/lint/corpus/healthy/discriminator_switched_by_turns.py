import torch


def fit(generator, discriminator, loader, latent):
    opt_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    for real in loader:
        for p in discriminator.parameters():
            p.requires_grad = True
        fake = generator(torch.randn(len(real), latent)).detach()
        opt_d.zero_grad()
        loss_d = discriminator(fake).mean() - discriminator(real).mean()
        loss_d.backward()
        opt_d.step()
        for p in discriminator.parameters():
            p.requires_grad = False
        opt_g.zero_grad()
        loss_g = -discriminator(generator(torch.randn(len(real), latent))).mean()
        loss_g.backward()
        opt_g.step()
