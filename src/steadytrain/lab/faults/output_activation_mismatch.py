"""The last activation cannot reach the targets.

## What is wrong
Targets on both sides of zero, beyond 1, meet a network that ends in a ReLU, a sigmoid, a tanh or a
softmax over a single unit: what it cannot say stays as error.

## Remedy
A linear output, or targets brought into the activation's range.

## Source
TheDeepChecker's pitfalls; a softmax over one unit is always 1 and has no gradient.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.outputs import finish_of, finish_with, predict_the_number
from steadytrain.lab.zoo.planting import fault


def prepare(parts: Parts) -> None:
    """An image network predicts its digit as a number; the others are regressions already."""
    if parts.case.architecture == "mlp":
        predict_the_number(parts)


def plant(parts: Parts) -> None:
    """The case's activation behind the last layer."""
    model: Any = parts.model
    if parts.case.architecture == "vae":
        finish_with(model.decoder, parts.case.pick("end", (nn.ReLU, nn.Sigmoid, nn.Tanh))())
        return
    ends = (nn.ReLU(), nn.Sigmoid(), nn.Tanh(), nn.Softmax(dim=-1))
    finish_with(model, parts.case.pick("end", ends))


def sites(parts: Parts) -> tuple[str, ...]:
    """The last activation."""
    model: Any = parts.model
    if parts.case.architecture == "vae":
        return (f"decoder.{finish_of(model.decoder)}",)
    return (finish_of(model),)


FAULT = fault(
    __name__,
    __doc__,
    cause="output-activation-mismatch",
    on=("tabular", "mlp", "vae"),
    prepare=prepare,
    plant=plant,
    sites=sites,
)
