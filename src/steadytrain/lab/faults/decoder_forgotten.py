"""The optimizer is given the encoder's parameters only.

## What is wrong
One of the two halves of a model is trained; the other keeps its random weights, and the first
learns to live with them.

## Remedy
Chain both halves' parameters into the optimizer.

## Source
`Adam(encoder.parameters())` in autoencoders and actor-critics written as two modules.
"""

from __future__ import annotations

from torch import optim

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def _first_half(parts: Parts) -> optim.Optimizer:
    first = next(parts.model.children())
    return parts.optimizer(first.parameters())


def plant(parts: Parts) -> None:
    """The first child's parameters."""
    parts.make_optimizer = _first_half


def places(parts: Parts) -> tuple[str, ...]:
    """The other children."""
    return tuple(path for path, _ in list(parts.model.named_children())[1:])


FAULT = fault(
    __name__,
    __doc__,
    cause="params-not-in-optimizer",
    on=("vae", "actor-critic"),
    plant=plant,
    sites=places,
)
