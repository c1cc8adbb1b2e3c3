"""Five batches in a row have a loss a thousand times as large."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(loss: Tensor, _: Generator) -> Tensor:
    """The poisoned loss."""
    return loss * 1e3


INJECTION = injection(__name__, __doc__, at="loss", strike=strike, batches=tuple(range(5)))
