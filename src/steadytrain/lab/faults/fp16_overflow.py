"""A norm written by hand squares its input in half precision.

## What is wrong
The mean of squares and the square of the mean exceed 65,504 on pictures in another unit; their
difference, the variance, is infinity minus infinity. The float16 tensors are real ones.

## Remedy
Take the statistics of a norm in float32.

## Source
Norms under autocast run in float32 for this reason; the ones written by hand do not.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.images import Batch
from steadytrain.lab.zoo.planting import fault

BRIGHT_AT: Final = 25
"""The batch with pictures of 16 bits, a thousand times as bright."""


class PictureNorm(nn.Module):
    """Every picture at zero mean and unit deviation. Shape: [n, 1, height, width]."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, pictures: Tensor) -> Tensor:
        x = pictures.to(self.dtype)
        mean = x.mean(dim=(2, 3), keepdim=True)
        variance = x.square().mean(dim=(2, 3), keepdim=True) - mean.square()
        return ((x - mean) * (variance + 1e-3).rsqrt()).float()


def _lifted(batch: Batch, factor: float = 1.0) -> Batch:
    """The pictures with their darkest pixel at zero, as cameras count."""
    return factor * (batch[0] - batch[0].amin()), batch[1]


def prepare(parts: Parts) -> None:
    """Pictures of two units, which the norm brings to one scale."""
    bright = parts.case.pick("unit", (1e3, 2e3, 4e3))
    parts.batches = [
        _lifted(batch, bright if place == BRIGHT_AT else 1.0)
        for place, batch in enumerate(parts.batches)
    ]
    parts.validation = _lifted(parts.validation)
    parts.model = nn.Sequential(PictureNorm(torch.float32), parts.model)


def plant(parts: Parts) -> None:
    """The statistics in half precision."""
    model: Any = parts.model
    model[0] = PictureNorm(torch.float16)


def sites(_parts: Parts) -> tuple[str, ...]:
    """The norm."""
    return ("0",)


FAULT = fault(
    __name__,
    __doc__,
    cause="fp16-overflow",
    on=("mlp", "cnn", "resnet"),
    prepare=prepare,
    plant=plant,
    sites=sites,
    onset=BRIGHT_AT,
)
