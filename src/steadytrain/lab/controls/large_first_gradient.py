"""Targets far from zero: the first gradients are many times the later ones.

## What it looks like
The first losses and gradient norms stand at dozens of times of what follows.

## Why it is healthy
The output's bias has to travel to the targets' mean; once there, everything is ordinary.

## Source
Karpathy 2019, A recipe for training neural networks: "init well".
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control


def make(parts: Parts) -> None:
    """Targets have a mean of four deviations; pictures of the VAE one of two."""
    if parts.case.architecture == "tabular":
        parts.batches = [(features, target + 4.0) for features, target in parts.batches]
        parts.validation = (parts.validation[0], parts.validation[1] + 4.0)
    else:
        parts.batches = [(pictures + 2.0, labels) for pictures, labels in parts.batches]
        parts.validation = (parts.validation[0] + 2.0, parts.validation[1])
    parts.clip = None


CONTROL = control(__name__, __doc__, on=("tabular", "vae"), make=make, steps=300)
