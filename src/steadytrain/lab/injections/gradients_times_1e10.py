"""All gradients are ten thousand million times as large."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(gradients: list[Tensor], _: Generator) -> None:
    """The gradients are disturbed in place."""
    for gradient in gradients:
        gradient.mul_(1e10)


INJECTION = injection(__name__, __doc__, at="gradient", strike=strike)
