"""The loss is finite and its gradient is not: the square root of zero."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(loss: Tensor, _: Generator) -> Tensor:
    """The poisoned loss."""
    return loss + (loss - loss.detach()).abs().sqrt()


INJECTION = injection(__name__, __doc__, at="loss", strike=strike)
