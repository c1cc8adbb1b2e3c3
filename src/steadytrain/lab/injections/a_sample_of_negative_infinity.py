"""All features of the first sample are minus infinity, as the logarithm of an empty recording."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(tensor: Tensor, _: Generator) -> Tensor:
    """The poisoned input."""
    return torch.cat([torch.full_like(tensor[:1], -torch.inf), tensor[1:]])


INJECTION = injection(__name__, __doc__, at="input", strike=strike)
