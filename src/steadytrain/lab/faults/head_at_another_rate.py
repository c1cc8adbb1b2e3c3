"""One parameter group has a rate hundreds of times that of the others.

## What is wrong
The head was given a rate of its own, in the unit of another optimizer; its updates throw the
outputs about, and what it sends back misleads the layers before it.

## Remedy
Give the group a rate within a factor of ten of the others.

## Source
Layer-wise rates of fine-tuning recipes, copied between optimizers.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import head
from steadytrain.lab.zoo.planting import fault


def prepare(parts: Parts) -> None:
    """Two parameter groups, the head's at three times the rate."""
    parts.extra["head factor"] = 3.0
    parts.make_optimizer = _optimizer


def plant(parts: Parts) -> None:
    """The head's rate in another unit."""
    parts.extra["head factor"] = parts.case.pick("factor", (300.0, 1000.0))


def places(parts: Parts) -> tuple[str, ...]:
    """The head."""
    return (head(parts.model),)


def _optimizer(parts: Parts) -> torch.optim.Optimizer:
    own = list(parts.model.get_submodule(head(parts.model)).parameters())
    ids = {id(one) for one in own}
    body = [one for one in parts.model.parameters() if id(one) not in ids]
    rate = parts.rate * parts.extra["head factor"]
    return torch.optim.Adam([{"params": body}, {"params": own, "lr": rate}], lr=parts.rate)


FAULT = fault(
    __name__,
    __doc__,
    cause="lr-too-high",
    on=("gpt", "cnn", "mlp", "vit"),
    plant=plant,
    prepare=prepare,
    sites=places,
)
