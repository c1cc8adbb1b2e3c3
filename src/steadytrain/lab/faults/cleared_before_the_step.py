"""The gradients are cleared between backward and step.

## What is wrong
The optimizer finds no gradient, or zeros, and changes nothing.

## Remedy
Clear, backward, step; or backward, step, clear.

## Source
Loops whose lines were sorted by hand.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.own_loops import clip_and_step, loss_of, right_step
from steadytrain.lab.zoo.planting import fault


def _step(program: Program, batch: Any) -> Tensor:
    loss = loss_of(program, batch)
    loss.backward()
    program.optimizer.zero_grad(set_to_none=program.extra["set to none"])
    clip_and_step(program)
    return loss.detach()


def prepare(parts: Parts) -> None:
    """A loop of one's own; `zero_grad` sets to None, or to zero as it once did."""
    parts.extra["set to none"] = parts.case.pick("set to none", (True, False))
    parts.step_fn = right_step


def plant(parts: Parts) -> None:
    """The same lines in another order."""
    parts.step_fn = _step


FAULT = fault(
    __name__,
    __doc__,
    cause="step-order",
    also=("missing-optimizer-step",),
    on=("mlp", "lstm", "vae"),
    plant=plant,
    prepare=prepare,
)
