"""The data comes as it lies on disk: one class after the other.

## What is wrong
Every batch holds one class or two. The network learns to say the class of the moment, the loss
falls and jumps at every change of class, epoch after epoch.

## Remedy
Shuffle before every epoch; a stream needs a buffer from which samples are drawn.

## Source
`shuffle=True` forgotten with data in one folder per class; Nguyen et al. 2022 on partial shuffles.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """The samples of all batches are sorted by their target and cut into batches as before."""
    inputs, targets = (torch.cat(column) for column in zip(*parts.batches, strict=True))
    order = targets.flatten().argsort(stable=True)
    size = len(parts.batches[0][0])
    parts.batches = [(inputs[some], targets[some]) for some in order.split(size)]


FAULT = fault(
    __name__,
    __doc__,
    cause="data-not-shuffled",
    on=("mlp", "cnn", "tabular", "vit"),
    plant=plant,
    steps=240,
    is_sudden=False,
)
