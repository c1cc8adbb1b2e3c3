"""The loss of a batch is so large that the squares of its gradients are infinite."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(loss: Tensor, _: Generator) -> Tensor:
    """The poisoned loss."""
    return loss * 1e30


INJECTION = injection(__name__, __doc__, at="loss", strike=strike)
