"""Every twentieth batch is a hard one: blurred by noise, and rightly labelled.

## What it looks like
The loss of single batches stands well above that of their neighbours.

## Why it is healthy
They are part of the task; the losses of both kinds fall.

## Source
Any data set with a difficult source in it.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control


def make(parts: Parts) -> None:
    """Two of forty batches are noisier than the others."""
    generator = parts.case.generator("noise")
    for place in (9, 29):
        inputs, labels = parts.batches[place]
        noise = torch.randn(inputs.shape, generator=generator)
        parts.batches[place] = (inputs + 0.7 * noise, labels)


CONTROL = control(__name__, __doc__, on=("mlp", "cnn", "vit", "resnet"), make=make)
