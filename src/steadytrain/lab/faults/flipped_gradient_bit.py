"""One element of one gradient is wrong on one step.

## What is wrong
A multiplication in the backward pass returned a number of another magnitude: one element of one
gradient is thousands of times larger than it should be, while loss and activations were right.

## Remedy
Run the step again from the state before it; if the gradient is another one, have the machine
checked. A clip of the norm bounds the harm.

## Source
Hochschild et al. 2021 (Cores that don't count); Dixit et al. 2021.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import matrices, use_sgd
from steadytrain.lab.zoo.own_loops import clip_and_step, loss_of
from steadytrain.lab.zoo.planting import fault

_ONSET = 80


def _step(program: Program, batch: Any) -> Tensor:
    program.optimizer.zero_grad()
    loss = loss_of(program, batch)
    loss.backward()
    if program.step == program.extra["step of the slip"]:
        grad = program.model.get_submodule(program.extra["layer"]).get_parameter("weight").grad
        assert grad is not None
        grad.view(-1)[program.extra["place"] % grad.numel()] = program.extra["value"]
    clip_and_step(program)
    return loss.detach()


def prepare(parts: Parts) -> None:
    """SGD in a loop of one's own that could do it."""
    use_sgd(parts)
    parts.optimizer_options["momentum"] = 0.0
    parts.clip = None
    parts.extra |= {"step of the slip": -1, "layer": _layer(parts), "place": 11}
    parts.extra["value"] = parts.case.pick("value", (1e3, 1e4))
    parts.step_fn = _step


def plant(parts: Parts) -> None:
    """It does it once."""
    parts.extra["step of the slip"] = _ONSET


def _layer(parts: Parts) -> str:
    return parts.case.pick("layer", matrices(parts.model))


def sites(parts: Parts) -> tuple[str, ...]:
    """The weight whose gradient it is."""
    return (f"{_layer(parts)}.weight",)


FAULT = fault(
    __name__,
    __doc__,
    cause="hardware-fault",
    on=("mlp", "cnn", "tabular"),
    plant=plant,
    prepare=prepare,
    sites=sites,
    onset=_ONSET,
    steps=160,
)
