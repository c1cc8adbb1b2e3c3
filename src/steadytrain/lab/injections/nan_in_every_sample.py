"""The whole batch is NaN, as from a corrupted shard."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(tensor: Tensor, _: Generator) -> Tensor:
    """The poisoned input."""
    return tensor * torch.nan


INJECTION = injection(__name__, __doc__, at="input", strike=strike)
