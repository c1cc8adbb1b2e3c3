"""Generative models: a VAE on images, and a GAN on a ring of Gaussians."""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Case, Parts
from steadytrain.lab.zoo.classifiers import mlp
from steadytrain.lab.zoo.images import images

LATENT: Final = 8
NOISE: Final = 4


class VAE(nn.Module):
    """Encoder to mean and log-variance, decoder to pixels. Shape: [n, pixels] -> three tensors."""

    def __init__(self, pixels: int, width: int) -> None:
        super().__init__()
        self.encoder = mlp([pixels, width, 2 * LATENT])
        self.decoder = mlp([LATENT, width, pixels])

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encoder(pictures).chunk(2, dim=-1)
        spread = (0.5 * log_variance.clamp(-8.0, 8.0)).exp()
        return self.decoder(mean + spread * torch.randn_like(mean)), mean, log_variance


def evidence_bound(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    """The negative evidence lower bound per pixel."""
    pictures = batch[0].flatten(1)
    drawn, mean, log_variance = model(pictures)
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(-1).mean()
    return functional.mse_loss(drawn, pictures) + 0.1 * divergence / pictures.shape[1]


def negative_bound(model: nn.Module, batch: tuple[Tensor, Tensor]) -> float:
    """The evidence lower bound on held-out pictures."""
    with torch.no_grad():
        return -float(evidence_bound(model, batch))


class GAN(nn.Module):
    """A generator of points in the plane and a discriminator of them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.generator = mlp([NOISE, width, width, 2])
        self.discriminator = mlp([2, width, width, 1], lambda: nn.LeakyReLU(0.2))


def ring(case: Case, num_batches: int = 40, batch_size: int = 64) -> list[Tensor]:
    """Points around eight places of a circle."""
    generator = case.generator("ring")
    angles = torch.randint(8, (num_batches, batch_size), generator=generator) * (math.pi / 4)
    centres = torch.stack([angles.cos(), angles.sin()], dim=-1)
    return list(centres + 0.05 * torch.randn(centres.shape, generator=generator))


def adversarial_step(program: Program, real: Tensor) -> Tensor:
    """One step of the discriminator, one of the generator; the generator's loss."""
    model, optimizers = program.model, program.extra
    fake = model.generator(torch.randn(len(real), NOISE))
    optimizers["discriminator"].zero_grad()
    judged = model.discriminator(torch.cat([real, fake.detach()]))
    truth = torch.cat([torch.ones(len(real), 1), torch.zeros(len(real), 1)])
    functional.binary_cross_entropy_with_logits(judged, truth).backward()
    optimizers["discriminator"].step()
    program.optimizer.zero_grad()
    convinced = model.discriminator(fake)
    loss = functional.binary_cross_entropy_with_logits(convinced, torch.ones_like(convinced))
    loss.backward()
    program.optimizer.step()
    return loss.detach()


def _build_gan(case: Case) -> Parts:
    model = GAN(case.pick("width", (32, 48)))
    rate = case.pick("rate", (5e-4, 1e-3))
    betas = (0.5, 0.999)
    discriminator = torch.optim.Adam(model.discriminator.parameters(), lr=rate, betas=betas)

    def generator_optimizer(parts: Parts) -> torch.optim.Optimizer:
        own: Any = parts.model
        return torch.optim.Adam(own.generator.parameters(), lr=parts.rate, betas=betas)

    return Parts(
        case=case,
        model=model,
        batches=ring(case),
        rate=rate,
        make_optimizer=generator_optimizer,
        step_fn=adversarial_step,
        extra={"discriminator": discriminator},
    )


def _build_vae(case: Case) -> Parts:
    batches, test = images(case)
    pixels = batches[0][0][0].numel()
    return Parts(
        case=case,
        model=VAE(pixels, case.pick("width", (48, 64))),
        batches=batches,
        loss_fn=evidence_bound,
        validation=test,
        metric_fn=negative_bound,
        rate=case.pick("rate", (1e-3, 2e-3)),
    )


BUILDERS: Final = {"gan": _build_gan, "vae": _build_vae}
