"""The loss is divided by a count of tokens that is zero."""

from __future__ import annotations

from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(loss: Tensor, _: Generator) -> Tensor:
    """The poisoned loss."""
    return loss / (loss.detach() * 0.0)


INJECTION = injection(__name__, __doc__, at="loss", strike=strike)
