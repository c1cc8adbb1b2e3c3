"""The labels say nothing about the images.

## What is wrong
A join on the wrong key gave every image a label drawn at random. There is nothing to learn but
each single label, which goes slowly, and the validation stays where guessing puts it.

## Remedy
Look at a few images with their labels, then mend the join.

## Source
Zhang et al. 2017 (Understanding deep learning requires rethinking generalization), random labels.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """Every label of the training set is drawn anew."""
    generator = parts.case.generator("random labels")
    parts.batches = [
        (inputs, labels[torch.randperm(len(labels), generator=generator)])
        for inputs, labels in parts.batches
    ]


FAULT = fault(
    __name__,
    __doc__,
    cause="label-noise",
    also=("label-misaligned",),
    on=("cnn", "resnet", "tabular"),
    plant=plant,
    steps=300,
    seen=("preflight",),
)
