"""One feature of one sample is the largest float there is."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection, with_one


def strike(tensor: Tensor, generator: Generator) -> Tensor:
    """The poisoned input."""
    return with_one(tensor, torch.finfo(tensor.dtype).max, generator)


INJECTION = injection(__name__, __doc__, at="input", strike=strike)
