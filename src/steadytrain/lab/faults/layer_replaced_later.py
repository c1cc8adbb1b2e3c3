"""A layer is replaced after the optimizer was built, which goes on holding the old one.

## What is wrong
The optimizer has as many parameters as ever, but some of them are in no model: the new layer gets
gradients and is never stepped.

## Remedy
Replace layers first; or add the new parameters as a group.

## Source
`model.fc = nn.Linear(...)` below the line that makes the optimizer.
"""

from __future__ import annotations

import copy

from torch import optim

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import matrices
from steadytrain.lab.zoo.planting import fault


def _replaced(parts: Parts) -> str:
    return parts.case.pick("replaced", matrices(parts.model)[-2:])


def _build_and_replace(parts: Parts) -> optim.Optimizer:
    optimizer = parts.optimizer()
    path = _replaced(parts)
    parts.model.set_submodule(path, copy.deepcopy(parts.model.get_submodule(path)))
    return optimizer


def plant(parts: Parts) -> None:
    """A layer is replaced by another like it, after the optimizer."""
    parts.make_optimizer = _build_and_replace


def places(parts: Parts) -> tuple[str, ...]:
    """The new layer."""
    return (_replaced(parts),)


FAULT = fault(
    __name__,
    __doc__,
    cause="stale-optimizer-params",
    also=("params-not-in-optimizer",),
    on=("cnn", "gpt", "mlp", "resnet"),
    plant=plant,
    sites=places,
)
