"""All gradients are as large as a float can be."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from steadytrain.lab.guarding.injection import injection


def strike(gradients: list[Tensor], _: Generator) -> None:
    """The gradients are disturbed in place."""
    for gradient in gradients:
        gradient.copy_(gradient.sign() * torch.finfo(gradient.dtype).max)


INJECTION = injection(__name__, __doc__, at="gradient", strike=strike)
