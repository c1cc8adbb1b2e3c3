"""Layers are thawed one after the other, from the output to the input.

## What it looks like
Parameters that the optimizer holds have no gradient for dozens of steps.

## Why it is healthy
They wait for their turn, with `requires_grad` off until then.

## Source
Howard and Ruder 2018 (ULMFiT), section 3.3.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.own_loops import right_step
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import pretrain

PERIOD = 30
"""Steps until the next layer is thawed."""


def _step(program: Program, batch: Any) -> Tensor:
    thawed = 2 * (1 + program.step // PERIOD)
    for weight in list(program.model.parameters())[-thawed:]:
        weight.requires_grad_(True)
    return right_step(program, batch)


def make(parts: Parts) -> None:
    """After some training all but the last weight and bias are frozen at first."""
    pretrain(parts, steps=40)
    parts.model.requires_grad_(False)
    for weight in list(parts.model.parameters())[-2:]:
        weight.requires_grad_(True)
    parts.step_fn = _step


CONTROL = control(__name__, __doc__, on=("mlp", "cnn", "tabular"), make=make, steps=240)
