"""One feature of one sample is infinite, as after a division by a zero deviation."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection, with_one


def strike(tensor: Tensor, generator: Generator) -> Tensor:
    """The poisoned input."""
    return with_one(tensor, float("inf"), generator)


INJECTION = injection(__name__, __doc__, at="input", strike=strike)
