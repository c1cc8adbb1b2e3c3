"""The queries and keys learn at fifty times the rate of the rest.

## What is wrong
Their weights grow with every step, and the attention logits with their product, until each query
takes one key whole and the gradient through attention is gone.

## Remedy
One rate for all; normalise queries and keys, or cap the logits.

## Source
Zhai et al. 2023; Wortsman et al. 2023, who grow the logits by the rate.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.layers import SelfAttention
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import paths_of


def _optimizer(parts: Parts) -> torch.optim.Optimizer:
    fast = [
        value
        for path in paths_of(parts.model, SelfAttention)
        for name, value in parts.model.get_submodule(path).named_parameters()
        if name.startswith("qkv")
    ]
    ids = {id(value) for value in fast}
    rest = [value for value in parts.model.parameters() if id(value) not in ids]
    optimizer = parts.optimizer(rest)
    rate = optimizer.param_groups[0]["lr"]
    factor = parts.case.pick("factor", (40.0, 60.0))
    optimizer.add_param_group({"params": fast, "lr": factor * rate})
    return optimizer


def plant(parts: Parts) -> None:
    """Queries, keys and values in a parameter group of their own."""
    parts.make_optimizer = _optimizer


def sites(parts: Parts) -> tuple[str, ...]:
    """The attention layers."""
    return paths_of(parts.model, SelfAttention)


FAULT = fault(
    __name__,
    __doc__,
    cause="attention-logits-too-large",
    also=("lr-too-high",),
    on=("gpt", "vit"),
    plant=plant,
    sites=sites,
    is_sudden=False,
)
