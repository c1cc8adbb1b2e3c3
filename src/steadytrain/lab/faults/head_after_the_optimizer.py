"""A layer is added after the optimizer was built, and stays as it began.

## What is wrong
The optimizer holds the parameters that there were when it was made; the new layer's are in none
of its groups.

## Remedy
Build the optimizer last.

## Source
Lazily built and replaced heads: a question of every fine-tuning forum.
"""

from __future__ import annotations

from torch import optim

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import matrices
from steadytrain.lab.zoo.planting import fault


def _latecomer(parts: Parts) -> str:
    """One of the last two layers that hold a matrix: an inner one hurts more, a head is usual."""
    return matrices(parts.model)[parts.case.pick("latecomer", (-1, -2))]


def _without(parts: Parts) -> optim.Optimizer:
    late = {id(one) for one in parts.model.get_submodule(_latecomer(parts)).parameters()}
    return parts.optimizer([one for one in parts.model.parameters() if id(one) not in late])


def plant(parts: Parts) -> None:
    """The optimizer is built on the others."""
    parts.make_optimizer = _without


def places(parts: Parts) -> tuple[str, ...]:
    """The layer that came late."""
    return (_latecomer(parts),)


FAULT = fault(
    __name__,
    __doc__,
    cause="params-not-in-optimizer",
    also=("stale-optimizer-params",),
    on=("gpt", "cnn", "mlp", "tabular"),
    plant=plant,
    sites=places,
)
