"""The output layer is the token embedding.

## What it looks like
One parameter under two names, with a gradient that is a sum of two.

## Why it is healthy
Tying is the usual recipe of small language models.

## Source
Press and Wolf 2017, Using the output embedding to improve language models.
"""

from __future__ import annotations

from typing import Any

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control


def make(parts: Parts) -> None:
    """The head's weight is that of the embedding."""
    model: Any = parts.model
    model.head.weight = model.token.weight


CONTROL = control(__name__, __doc__, on=("gpt", "lstm"), make=make)
