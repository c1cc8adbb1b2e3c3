"""The training labels count from one, the network's outputs from zero.

## What is wrong
The head was given one output more, so that nothing complains. The first output is never used, the
training loss falls as it should, and every prediction is off by one.

## Remedy
Subtract one where the labels are read, for training and validation alike.

## Source
Data sets whose classes count from one.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.classifiers import NUM_CLASSES
from steadytrain.lab.zoo.outputs import replace_last
from steadytrain.lab.zoo.planting import fault


def prepare(parts: Parts) -> None:
    """A head with an output to spare."""
    replace_last(parts, NUM_CLASSES + 1)


def plant(parts: Parts) -> None:
    """Training labels from one on."""
    parts.batches = [(inputs, labels + 1) for inputs, labels in parts.batches]


FAULT = fault(
    __name__,
    __doc__,
    cause="label-encoding",
    on=("mlp", "cnn", "resnet"),
    plant=plant,
    prepare=prepare,
    seen=("preflight",),
)
