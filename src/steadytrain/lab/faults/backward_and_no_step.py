"""Gradients are computed and never used.

## What is wrong
The loop clears the gradients and calls backward, and `optimizer.step()` is not in it.

## Remedy
Call `optimizer.step()` after backward.

## Source
The second most reported mistake of people's first loops.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.own_loops import loss_of, right_step
from steadytrain.lab.zoo.planting import fault


def _step(program: Program, batch: Any) -> Tensor:
    program.optimizer.zero_grad()
    loss = loss_of(program, batch)
    loss.backward()
    return loss.detach()


def prepare(parts: Parts) -> None:
    """A loop of one's own."""
    parts.step_fn = right_step


def plant(parts: Parts) -> None:
    """The same loop without the step."""
    parts.step_fn = _step


FAULT = fault(
    __name__,
    __doc__,
    cause="missing-optimizer-step",
    on=("mlp", "gpt", "actor-critic"),
    plant=plant,
    prepare=prepare,
)
