"""Everything passes through two units.

## What is wrong
Ten classes are to be told apart by what two units can carry: the loss falls at first and then
stands, far above what the data allows, and no rate helps.

## Remedy
Widen the narrow layer.

## Source
The counterpart of overfitting; DeepFD's fault of too few neurons.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import drawn_from


def plant(parts: Parts) -> None:
    """A layer to two units and back stands before the last."""
    model: Any = parts.model
    width = model[-1].in_features
    with drawn_from(parts.case, "narrow"):
        narrow = nn.Sequential(nn.Linear(width, 2), nn.ReLU(), nn.Linear(2, width))
    model[-1] = nn.Sequential(narrow, model[-1])


def sites(parts: Parts) -> tuple[str, ...]:
    """The narrow layers stand where the last one stood."""
    model: Any = parts.model
    return (str(len(model) - 1),)


FAULT = fault(
    __name__,
    __doc__,
    cause="underfitting-capacity",
    on=("mlp", "cnn", "tabular"),
    plant=plant,
    sites=sites,
    seen=("preflight",),
)
