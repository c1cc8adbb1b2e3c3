"""The loss of a batch is minus infinity, as a log-likelihood that collapsed."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(loss: Tensor, _: Generator) -> Tensor:
    """The poisoned loss."""
    return loss - torch.inf


INJECTION = injection(__name__, __doc__, at="loss", strike=strike)
