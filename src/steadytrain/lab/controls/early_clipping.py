"""Clipping that acts on the first steps only.

## What it looks like
At the start the clip leaves a small part of every gradient.

## Why it is healthy
It is what the clip is for: once the gradients have come down it does nothing.

## Source
Zhang et al. 2020, Why gradient clipping accelerates training.
"""

from __future__ import annotations

from steadytrain.lab.controls.large_first_gradient import make as far_targets
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control


def make(parts: Parts) -> None:
    """Targets far from zero, and a threshold that later gradients stay below."""
    far_targets(parts)
    parts.clip = 2.0


CONTROL = control(__name__, __doc__, on=("tabular", "vae"), make=make, steps=300)
