"""Batch norm over batches of two samples.

## What is wrong
Of two samples one is always above the mean and one below: every unit says which of the two it
is, and not what it saw.

## Remedy
Larger batches, or a norm that looks at one sample: group norm, layer norm.

## Source
Wu and He 2018 (group normalisation), figure 1.
"""

from __future__ import annotations

from typing import cast

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import linears, paths_of, swap


def prepare(parts: Parts) -> None:
    """Batches of two, and hidden layers with a layer norm before their activation."""
    parts.batches = [
        (inputs[place : place + 2], labels[place : place + 2])
        for inputs, labels in parts.batches
        for place in range(0, len(inputs) - 1, 2)
    ][:400]
    for path, layer in linears(parts.model)[:-1]:
        above, _, name = path.rpartition(".")
        normed = nn.Sequential(layer, nn.LayerNorm(layer.out_features))
        setattr(parts.model.get_submodule(above), name, normed)
    parts.rate /= 2


def plant(parts: Parts) -> None:
    """Batch norm in the layer norms' places."""
    swap(
        parts.model,
        nn.LayerNorm,
        lambda norm: nn.BatchNorm1d(cast("nn.LayerNorm", norm).normalized_shape[0]),
    )


def sites(parts: Parts) -> tuple[str, ...]:
    """The norms."""
    return paths_of(parts.model, nn.LayerNorm)


FAULT = fault(
    __name__,
    __doc__,
    cause="batchnorm-small-batch",
    on=("mlp", "tabular"),
    prepare=prepare,
    plant=plant,
    sites=sites,
    steps=300,
)
