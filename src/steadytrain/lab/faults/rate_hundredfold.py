"""The learning rate is some hundred times too high.

## What is wrong
Every update is as large as the weights it changes, so that none of them finds its place.

## Remedy
Divide the rate by ten until the loss falls, starting from new weights.

## Source
The rate of SGD left standing when the optimizer was changed to Adam.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """A hundred to a thousand times the healthy rate."""
    parts.rate *= parts.case.pick("factor", (100, 300, 1000))


FAULT = fault(
    __name__, __doc__, cause="lr-too-high", on=("mlp", "gpt", "tabular", "lstm", "vit"), plant=plant
)
