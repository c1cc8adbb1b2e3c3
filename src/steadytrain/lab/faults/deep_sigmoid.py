"""Eight to sixteen sigmoid layers, one after the other.

## What is wrong
A sigmoid's slope is at most a quarter, so that every layer leaves less than a quarter of the
gradient: the first ones get none, and the network's output no longer depends on its input.

## Remedy
ReLU or GELU with the weights made for it; shortcuts and normalisation for depth.

## Source
Hochreiter 1991; Glorot and Bengio 2010.
"""

from __future__ import annotations

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import drawn_from, linears, stack


def _depth(parts: Parts) -> int:
    return parts.case.pick("layers", (8, 12, 16))


def prepare(parts: Parts) -> None:
    """The same depth of ReLU layers, He-initialised and normalised."""
    parts.model = stack(parts, _depth(parts), nn.ReLU, has_norm=True)
    with drawn_from(parts.case, "He"):
        for _, layer in linears(parts.model)[:-1]:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")


def plant(parts: Parts) -> None:
    """Sigmoids, Xavier-initialised: the textbook's network."""
    parts.model = stack(parts, _depth(parts), nn.Sigmoid)
    with drawn_from(parts.case, "Xavier"):
        for _, layer in linears(parts.model):
            nn.init.xavier_normal_(layer.weight)


def sites(parts: Parts) -> tuple[str, ...]:
    """The layers that starve: the first half."""
    return tuple(str(place) for place in range(1, 2 + _depth(parts) // 2))


FAULT = fault(
    __name__,
    __doc__,
    cause="vanishing-gradient",
    also=("missing-norm", "missing-residual"),
    on=("mlp", "tabular"),
    prepare=prepare,
    plant=plant,
    sites=sites,
)
