"""Weight decay pulls harder than the gradient.

## What is wrong
AdamW takes several percent off every weight at every step; what is learned is forgotten as fast,
and the outputs shrink towards a constant.

## Remedy
A weight decay near 0.1: rate times decay should be one over the length of the run, or less.

## Source
Loshchilov, Hutter 2019: decay is scaled by the rate; one that was tuned without that is too large.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import use_adamw
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """Five to fifteen percent per step."""
    share = parts.case.pick("share", (0.05, 0.1, 0.15))
    parts.optimizer_options["weight_decay"] = share / parts.rate


FAULT = fault(
    __name__,
    __doc__,
    cause="weight-decay-too-high",
    on=("mlp", "gpt", "vit", "tabular"),
    plant=plant,
    prepare=use_adamw,
    is_sudden=False,
)
