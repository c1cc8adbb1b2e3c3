"""The loss is so small that its gradients drown in Adam's default eps.

## What is wrong
Each sample's loss is divided by the number of all samples there are, as a probability would be:
the gradients are a hundred times below 1e-8, which then rules the step.

## Remedy
A mean over the batch, or an eps below the gradients.

## Source
Philipp, Song, Carbonell 2018 and reports of Adam standing still on rescaled losses.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


class Scaled:
    """A loss multiplied by a small number."""

    def __init__(self, parts: Parts) -> None:
        assert parts.loss_fn is not None
        self.inner = parts.loss_fn
        self.scale = parts.case.pick("scale", (1e-9, 1e-8))

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        return self.scale * self.inner(model, batch)


def prepare(parts: Parts) -> None:
    """A tiny loss, and an eps to match."""
    parts.loss_fn = Scaled(parts)
    parts.clip = None
    parts.optimizer_options["eps"] = 1e-18


def plant(parts: Parts) -> None:
    """The default eps."""
    parts.optimizer_options["eps"] = 1e-8


FAULT = fault(
    __name__,
    __doc__,
    cause="adam-eps",
    also=("loss-reduction",),
    on=("mlp", "tabular", "cnn"),
    plant=plant,
    prepare=prepare,
    is_sudden=False,
)
