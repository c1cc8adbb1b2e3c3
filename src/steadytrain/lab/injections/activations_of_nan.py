"""All outputs of a layer in the middle are NaN, once: a kernel read memory that was not written."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(tensor: Tensor, _: Generator) -> Tensor:
    """The disturbed output."""
    return tensor * float("nan")


INJECTION = injection(__name__, __doc__, at="activation", strike=strike)
