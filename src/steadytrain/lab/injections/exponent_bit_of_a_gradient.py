"""The highest bit of the exponent of one element of a gradient flips."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import flip_bit, injection, one_of


def strike(gradients: list[Tensor], generator: Generator) -> None:
    """The gradients are disturbed in place."""
    flip_bit(one_of(gradients, generator), 30, generator)


INJECTION = injection(__name__, __doc__, at="gradient", strike=strike)
