"""The loss of a batch is ten thousand million times as large."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(loss: Tensor, _: Generator) -> Tensor:
    """The poisoned loss."""
    return loss * 1e10


INJECTION = injection(__name__, __doc__, at="loss", strike=strike)
