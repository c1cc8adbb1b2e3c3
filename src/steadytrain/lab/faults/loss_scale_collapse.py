"""Every step overflows whatever the loss scale is, and the scaler halves it down to nothing.

## What is wrong
A smooth absolute value has an epsilon that is zero in half precision: its derivative at zero is NaN
on every step. The scaler skips each of them in silence and the network never moves. The float16
tensors are real ones.

## Remedy
An epsilon that the format can hold, or the operation in float32.

## Source
A Charbonnier penalty with an epsilon of 1e-9; float16 ends at 6e-8.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.half import use_half
from steadytrain.lab.zoo.planting import fault


class SmoothAbsolute(nn.Module):
    """sqrt(x^2 + epsilon). Shape: any."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.dtype)
        epsilon = torch.tensor(1e-9, dtype=self.dtype)
        return (x.square() + epsilon).sqrt().float()


def _after_activation(parts: Parts) -> int:
    """The place in the network behind one of its ReLUs, by the seed."""
    model: Any = parts.model
    places = [place for place, layer in enumerate(model) if isinstance(layer, nn.ReLU)]
    return parts.case.pick("place", places)


def prepare(parts: Parts) -> None:
    """Half precision with a scaler, the absolute value in float32 behind an activation."""
    use_half(parts)
    place = _after_activation(parts)
    model: Any = parts.model
    model[place] = nn.Sequential(model[place], SmoothAbsolute(torch.float32))


def plant(parts: Parts) -> None:
    """The absolute value in half precision."""
    for module in parts.model.modules():
        if isinstance(module, SmoothAbsolute):
            module.dtype = torch.float16


def sites(parts: Parts) -> tuple[str, ...]:
    """The absolute value, and the layer in front of it that meets the NaN first."""
    names = [
        name for name, module in parts.model.named_modules() if isinstance(module, SmoothAbsolute)
    ]
    place = int(names[0].partition(".")[0])
    return (*names, str(place - 1))


FAULT = fault(
    __name__,
    __doc__,
    cause="loss-scale-collapse",
    also=("sqrt-zero-grad",),
    on=("mlp", "tabular"),
    prepare=prepare,
    plant=plant,
    sites=sites,
)
