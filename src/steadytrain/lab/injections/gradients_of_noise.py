"""All gradients are noise of a hundred times their size, as from a buffer that was not cleared."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(gradients: list[Tensor], generator: Generator) -> None:
    """The gradients are disturbed in place."""
    for gradient in gradients:
        size = gradient.square().mean().sqrt()
        noise = torch.randn(gradient.shape, generator=generator)
        gradient.copy_(100 * size * noise)


INJECTION = injection(__name__, __doc__, at="gradient", strike=strike)
