"""Every step overflows whatever the loss scale is, and the scaler halves it down to nothing.

## What is wrong
A smooth absolute value has an epsilon that is zero in half precision: its derivative at a bias of
zero is NaN on every step. The scaler skips each of them in silence and the network never moves.
The float16 tensors are real ones.

## Remedy
An epsilon that the format can hold, or the operation in float32.

## Source
A Charbonnier penalty with an epsilon of 1e-9; float16 ends at 6e-8.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import torch
from torch import Tensor

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.half import use_half
from steadytrain.lab.zoo.planting import fault

WEIGHT: Final = 1e-4
EPSILON: Final = 1e-9


def _bias(parts: Parts) -> str:
    """The path of one of the biases, by the seed."""
    paths = [name for name, _ in parts.model.named_parameters() if name.endswith("bias")]
    return parts.case.pick("bias", paths)


def with_penalty(model: Any, batch: Any, *, main: Any, path: str, dtype: torch.dtype) -> Tensor:
    """The main loss, and the smooth absolute values of a bias, computed in `dtype`."""
    values = model.get_parameter(path).to(dtype)
    epsilon = torch.tensor(EPSILON, dtype=dtype)
    return main(model, batch) + WEIGHT * (values.square() + epsilon).sqrt().float().sum()


def prepare(parts: Parts) -> None:
    """Half precision with a scaler; the penalty in float32."""
    use_half(parts)
    parts.extra["main"] = parts.loss_fn
    parts.loss_fn = partial(
        with_penalty, main=parts.loss_fn, path=_bias(parts), dtype=torch.float32
    )


def plant(parts: Parts) -> None:
    """The penalty in half precision."""
    parts.loss_fn = partial(
        with_penalty, main=parts.extra["main"], path=_bias(parts), dtype=torch.float16
    )


FAULT = fault(
    __name__,
    __doc__,
    cause="loss-scale-collapse",
    also=("sqrt-zero-grad",),
    on=("mlp", "tabular"),
    prepare=prepare,
    plant=plant,
    sites=lambda parts: (_bias(parts),),
)
