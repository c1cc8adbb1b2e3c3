"""Images and labels are shuffled, each by itself.

## What is wrong
Every epoch draws one order for the images and another for the labels. Nothing can be learned, not
even by heart, and the loss stays where guessing puts it.

## Remedy
Draw one order and index both with it; look at a few images with their labels.

## Source
Two loaders zipped together, each with `shuffle=True`.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault

_EPOCHS = 8


def plant(parts: Parts) -> None:
    """The targets of every epoch's batch are in an order of their own."""
    generator = parts.case.generator("shuffled apart")
    parts.batches = [
        (inputs, labels[torch.randperm(len(labels), generator=generator)])
        for _ in range(_EPOCHS)
        for inputs, labels in parts.batches
    ]


FAULT = fault(
    __name__,
    __doc__,
    cause="label-misaligned",
    also=("label-noise",),
    on=("mlp", "cnn", "tabular", "vit"),
    plant=plant,
    steps=300,
    is_sudden=False,
)
