"""One feature of one sample is 1e20, a sentinel for a missing value."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection, with_one


def strike(tensor: Tensor, generator: Generator) -> Tensor:
    """The poisoned input."""
    return with_one(tensor, 1e20, generator)


INJECTION = injection(__name__, __doc__, at="input", strike=strike)
