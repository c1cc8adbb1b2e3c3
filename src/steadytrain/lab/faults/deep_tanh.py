"""Sixteen to twenty-four tanh layers, one after the other, as PyTorch initialises them.

## What is wrong
Every layer leaves about half of the gradient: the first ones get a millionth of it.

## Remedy
Shortcuts and normalisation, or fewer layers; tanh's own gain in the weights.

## Source
Glorot and Bengio 2010; He et al. 2016.
"""

from __future__ import annotations

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import stack


def _depth(parts: Parts) -> int:
    return parts.case.pick("layers", (16, 20, 24))


def prepare(parts: Parts) -> None:
    """The same layers, each normalised and with a shortcut."""
    parts.model = stack(parts, _depth(parts), nn.Tanh, has_norm=True, has_shortcut=True)


def plant(parts: Parts) -> None:
    """The plain stack."""
    parts.model = stack(parts, _depth(parts), nn.Tanh)


def sites(parts: Parts) -> tuple[str, ...]:
    """The layers that starve: the first third."""
    return tuple(str(place) for place in range(1, 2 + _depth(parts) // 3))


FAULT = fault(
    __name__,
    __doc__,
    cause="vanishing-gradient",
    also=("missing-residual", "missing-norm", "init-too-small"),
    on=("mlp", "tabular"),
    prepare=prepare,
    plant=plant,
    sites=sites,
)
