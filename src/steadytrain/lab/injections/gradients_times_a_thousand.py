"""All gradients are a thousand times as large, as without the mean over the ranks."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(gradients: list[Tensor], _: Generator) -> None:
    """The gradients are disturbed in place."""
    for gradient in gradients:
        gradient.mul_(1e3)


INJECTION = injection(__name__, __doc__, at="gradient", strike=strike)
