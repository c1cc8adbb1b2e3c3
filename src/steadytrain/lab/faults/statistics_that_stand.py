"""Batch norm whose running statistics never move.

## What is wrong
A momentum of zero, or of one part in ten thousand, leaves the running means at zero and variances
at one: training uses the batch's own and looks well, and evaluation uses the others.

## Remedy
A momentum of 0.1 (PyTorch counts what is new; TensorFlow's 0.99 is PyTorch's 0.01).

## Source
The two frameworks' opposite conventions; Ioffe and Szegedy 2015, algorithm 2.
"""

from __future__ import annotations

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import paths_of


def plant(parts: Parts) -> None:
    """The momentum of every norm."""
    momentum = parts.case.pick("momentum", (0.0, 1e-4))
    for path in paths_of(parts.model, nn.BatchNorm2d):
        norm = parts.model.get_submodule(path)
        assert isinstance(norm, nn.BatchNorm2d)
        norm.momentum = momentum


def sites(parts: Parts) -> tuple[str, ...]:
    """The batch norms."""
    return paths_of(parts.model, nn.BatchNorm2d)


FAULT = fault(
    __name__,
    __doc__,
    cause="batchnorm-running-stats",
    on=("cnn", "resnet"),
    plant=plant,
    sites=sites,
    seen=("training", "preflight"),
    is_sudden=False,
)
