"""The weight decay of AdamW is given to SGD, whose rate is dozens of times higher.

## What is wrong
Rate times decay is what a step takes off the weights: here it is percents, and momentum adds them
up to tens of percents.

## Remedy
5e-4 or less with SGD at such rates.

## Source
Recipes for AdamW carry 0.1, recipes for SGD 5e-4 (He et al. 2016: 1e-4).
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import use_sgd
from steadytrain.lab.zoo.planting import fault


def prepare(parts: Parts) -> None:
    """SGD with the decay of its recipes."""
    use_sgd(parts)
    parts.optimizer_options["weight_decay"] = 1e-4


def plant(parts: Parts) -> None:
    """A decay for AdamW."""
    parts.optimizer_options["weight_decay"] = parts.case.pick("decay", (0.3, 0.5, 1.0))


FAULT = fault(
    __name__,
    __doc__,
    cause="weight-decay-too-high",
    on=("mlp", "lstm", "tabular"),
    plant=plant,
    prepare=prepare,
    is_sudden=False,
)
