"""The gradients of all steps are added up.

## What is wrong
`zero_grad` is never called, so that every step follows the sum of all gradients so far.

## Remedy
Clear the gradients once per step.

## Source
The most reported mistake of people's first loops.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def _step(program: Program, batch: Any) -> Tensor:
    assert program.loss_fn is not None
    loss = program.loss_fn(program.model, batch)
    loss.backward()
    program.optimizer.step()
    return loss.detach()


def plant(parts: Parts) -> None:
    """The loop of the user's own, without `zero_grad`."""
    parts.step_fn = _step


FAULT = fault(
    __name__, __doc__, cause="missing-zero-grad", on=("mlp", "cnn", "lstm", "gpt"), plant=plant
)
