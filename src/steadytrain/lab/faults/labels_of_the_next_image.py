"""Every image stands beside the label of the one after it.

## What is wrong
Images and labels were sorted, filtered or cached apart, and are shifted by one place.

## Remedy
Keep an image and its label in one record; look at a few of them.

## Source
Off-by-one between two files that are read side by side.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """The targets of every batch are rolled by one place or two."""
    places = parts.case.pick("places", (1, 2))
    parts.batches = [(inputs, labels.roll(places, 0)) for inputs, labels in parts.batches]


FAULT = fault(
    __name__,
    __doc__,
    cause="label-misaligned",
    also=("label-noise",),
    on=("cnn", "tabular", "vit"),
    plant=plant,
    steps=300,
    seen=("preflight",),
)
