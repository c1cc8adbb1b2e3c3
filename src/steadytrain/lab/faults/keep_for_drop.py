"""A keep-probability of 0.9 is handed to a layer that asks for what to drop.

## What is wrong
Nine of ten units are silent on every step, and the tenth is ten times as loud.

## Remedy
`Dropout(0.1)`: PyTorch's argument is the share that is dropped.

## Source
TensorFlow 1's `keep_prob` against PyTorch's `p`.
"""

from __future__ import annotations

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import paths_of, swap


def prepare(parts: Parts) -> None:
    """A dropout of a tenth behind every activation."""
    for kind in (nn.ReLU, nn.GELU):
        swap(parts.model, kind, lambda activation: nn.Sequential(activation, nn.Dropout(0.1)))


def plant(parts: Parts) -> None:
    """The share that was meant to be kept."""
    for path in paths_of(parts.model, nn.Dropout):
        dropout = parts.model.get_submodule(path)
        assert isinstance(dropout, nn.Dropout)
        dropout.p = 0.9


def sites(parts: Parts) -> tuple[str, ...]:
    """The dropout layers."""
    return paths_of(parts.model, nn.Dropout)


FAULT = fault(
    __name__,
    __doc__,
    cause="dropout-too-high",
    on=("mlp", "cnn", "tabular"),
    prepare=prepare,
    plant=plant,
    sites=sites,
)
