"""The features of a batch come in other units, ten thousand times as large."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(tensor: Tensor, _: Generator) -> Tensor:
    """The poisoned input."""
    return tensor * 1e4


INJECTION = injection(__name__, __doc__, at="input", strike=strike)
