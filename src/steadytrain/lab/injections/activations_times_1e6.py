"""The outputs of a layer in the middle are a million times as large, once."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(tensor: Tensor, _: Generator) -> Tensor:
    """The disturbed output."""
    return tensor * 1e6


INJECTION = injection(__name__, __doc__, at="activation", strike=strike)
