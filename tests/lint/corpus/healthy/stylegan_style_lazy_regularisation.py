import torch
from torch import autograd
for i in range(iterations):
    real = next(loader)
    requires_grad(generator, False)
    requires_grad(discriminator, True)
    fake, _ = generator(mixing_noise(batch))
    d_loss = d_logistic_loss(discriminator(real), discriminator(fake))
    discriminator.zero_grad()
    d_loss.backward()
    d_optim.step()
    if i % 16 == 0:
        real.requires_grad = True
        r1 = d_r1_loss(discriminator(real), real)
        discriminator.zero_grad()
        (10 / 2 * r1 * 16).backward()
        d_optim.step()
    requires_grad(generator, True)
    requires_grad(discriminator, False)
    fake, latents = generator(mixing_noise(batch))
    g_loss = g_nonsaturating_loss(discriminator(fake))
    generator.zero_grad()
    g_loss.backward()
    g_optim.step()
    accumulate(g_ema, generator.module, 0.999)
