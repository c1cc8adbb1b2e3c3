"""A curriculum: pictures get noisier in four stages.

## What it looks like
The loss rises at the beginning of a stage, and stays above its best for a while.

## Why it is healthy
The task became harder on purpose; on the plain test pictures the model gets better.

## Source
Bengio et al. 2009, Curriculum learning.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control

STAGES = (0.0, 0.15, 0.3, 0.45)
"""Deviation of the noise on pictures of unit deviation."""

LENGTH = 60
"""Steps of a stage."""


def make(parts: Parts) -> None:
    """Sixty steps of each stage."""
    generator, plain = parts.case.generator("curriculum"), parts.batches
    parts.batches = []
    for place in range(len(STAGES) * LENGTH):
        inputs, labels = plain[place % len(plain)]
        noise = torch.randn(inputs.shape, generator=generator)
        parts.batches.append((inputs + STAGES[place // LENGTH] * noise, labels))


CONTROL = control(
    __name__, __doc__, on=("mlp", "cnn", "vit"), make=make, steps=len(STAGES) * LENGTH
)
