"""One output of a layer in the middle is NaN, once."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection, with_one


def strike(tensor: Tensor, generator: Generator) -> Tensor:
    """The disturbed output."""
    return with_one(tensor, float("nan"), generator)


INJECTION = injection(__name__, __doc__, at="activation", strike=strike)
