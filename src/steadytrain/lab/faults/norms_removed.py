"""A deep network that was built for normalisation, without it.

## What is wrong
The layers' own weights do not keep the signal's size, which was the norm's work: it shrinks or
grows from layer to layer.

## Remedy
Put the norms back, or initialise the weights so that each layer keeps the size.

## Source
Ioffe and Szegedy 2015; Bjorck et al. 2018 on what batch norm makes possible.
"""

from __future__ import annotations

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.classifiers import cnn
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import drawn_from, paths_of, stack, swap


def prepare(parts: Parts) -> None:
    """Many layers, each with its norm: batch norm after convolutions, layer norm elsewhere."""
    depth = parts.case.pick("layers", (12, 14, 16))
    if parts.case.architecture == "cnn":
        with drawn_from(parts.case, "deep"):
            parts.model = cnn(12, depth)
    else:
        parts.model = stack(parts, depth, nn.ReLU, has_norm=True)


def plant(parts: Parts) -> None:
    """Every norm becomes the identity."""
    for kind in (nn.BatchNorm2d, nn.LayerNorm):
        swap(parts.model, kind, lambda _: nn.Identity())


def sites(parts: Parts) -> tuple[str, ...]:
    """Where the norms were, and the layers between them."""
    return paths_of(parts.model, nn.BatchNorm2d, nn.LayerNorm, nn.Conv2d, nn.Linear)


FAULT = fault(
    __name__,
    __doc__,
    cause="missing-norm",
    also=("vanishing-gradient", "init-too-small"),
    on=("cnn", "mlp"),
    prepare=prepare,
    plant=plant,
    sites=sites,
)
