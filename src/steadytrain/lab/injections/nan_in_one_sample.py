"""One feature of one sample is NaN."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection, with_one


def strike(tensor: Tensor, generator: Generator) -> Tensor:
    """The poisoned input."""
    return with_one(tensor, float("nan"), generator)


INJECTION = injection(__name__, __doc__, at="input", strike=strike)
