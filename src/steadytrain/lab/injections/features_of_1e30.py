"""The features of a batch are of the order of 1e30: finite, and nothing computed from them is."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(tensor: Tensor, _: Generator) -> Tensor:
    """The poisoned input."""
    return tensor * 1e30


INJECTION = injection(__name__, __doc__, at="input", strike=strike)
