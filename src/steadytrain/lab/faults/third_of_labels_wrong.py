"""A third of the labels are wrong.

## What is wrong
Every third training label is another class. The loss has a floor that no network gets below
without memorising, and it begins to memorise.

## Remedy
Clean the labels, or use a loss that bounds what one sample can cost; stop early.

## Source
Northcutt, Athalye, Mueller 2021 (Pervasive label errors in test sets); class-conditional noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.classifiers import NUM_CLASSES
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """Labels of a drawn third become any other class."""
    generator = parts.case.generator("wrong labels")
    share = parts.case.pick("share", (0.3, 0.4))

    def noisy(labels: Tensor) -> Tensor:
        wrong = torch.rand(len(labels), generator=generator) < share
        shift = torch.randint(1, NUM_CLASSES, (len(labels),), generator=generator)
        return torch.where(wrong, (labels + shift) % NUM_CLASSES, labels)

    parts.batches = [(inputs, noisy(labels)) for inputs, labels in parts.batches]


FAULT = fault(
    __name__,
    __doc__,
    cause="label-noise",
    on=("mlp", "cnn", "resnet"),
    plant=plant,
    seen=("preflight",),
)
