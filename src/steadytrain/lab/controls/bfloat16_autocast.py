"""Automatic mixed precision with bfloat16.

## What it looks like
Activations and losses have three digits; equal values repeat.

## Why it is healthy
The weights and their updates are float32.

## Source
Kalamkar et al. 2019, A study of bfloat16 for deep learning training.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control


def make(parts: Parts) -> None:
    """The forward pass runs under autocast."""
    parts.precision = "bf16"


CONTROL = control(__name__, __doc__, on=("mlp", "vae", "gpt"), make=make)
