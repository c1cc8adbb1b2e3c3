"""Every gradient is NaN, as after a collective over a broken link."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(gradients: list[Tensor], _: Generator) -> None:
    """The gradients are disturbed in place."""
    for gradient in gradients:
        gradient.fill_(float("nan"))


INJECTION = injection(__name__, __doc__, at="gradient", strike=strike)
