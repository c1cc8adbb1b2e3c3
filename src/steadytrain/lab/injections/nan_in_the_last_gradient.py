"""The gradient of the last parameter is NaN, all of it."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(gradients: list[Tensor], _: Generator) -> None:
    """The gradients are disturbed in place."""
    gradients[-1].fill_(float("nan"))


INJECTION = injection(__name__, __doc__, at="gradient", strike=strike)
