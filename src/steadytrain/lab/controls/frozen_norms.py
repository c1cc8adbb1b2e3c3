"""A trained network whose batch norms keep their statistics while it is tuned.

## What it looks like
A good part of the modules is in evaluation mode while the optimizer steps.

## Why it is healthy
The statistics come from more data than the small batches of the new task hold.

## Source
He et al. 2017 (Mask R-CNN, frozen batch norm); the usual recipe of detection and segmentation.
"""

from __future__ import annotations

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import pretrain


def make(parts: Parts) -> None:
    """After some training the norms are in evaluation mode and do not learn."""
    pretrain(parts, steps=60)
    for module in parts.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval().requires_grad_(False)
    parts.batches = [(inputs[:16], labels[:16]) for inputs, labels in parts.batches]
    # evaluating goes through train() again, which would thaw the norms
    parts.metric_fn = None


CONTROL = control(__name__, __doc__, on=("cnn", "resnet"), make=make)
