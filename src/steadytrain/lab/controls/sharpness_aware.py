"""Sharpness-aware minimisation: two backward passes a step, the first only to find where to look.

## What it looks like
The weights are moved uphill and put back within the step, and the gradients of the first backward
pass are cleared before the second.

## Why it is healthy
The step is taken from where the weights were, along the gradient found nearby: twice the work for
a flatter minimum.

## Source
Foret et al. 2021, Sharpness-aware minimization for efficiently improving generalization.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.own_loops import clip_and_step, loss_of
from steadytrain.lab.zoo.planting import control

REACH = 0.05
"""How far uphill the second gradient is taken, as published."""


def _step(program: Program, batch: Any) -> Tensor:
    program.optimizer.zero_grad()
    loss = loss_of(program, batch)
    loss.backward()
    with torch.no_grad():
        uphill = {one: one.grad for one in program.model.parameters() if one.grad is not None}
        norm = torch.nn.utils.get_total_norm(uphill.values())
        moves = {one: grad * (REACH / (norm + 1e-12)) for one, grad in uphill.items()}
        before = {one: one.clone() for one in moves}
        for one, move in moves.items():
            one.add_(move)
    program.optimizer.zero_grad()
    loss_of(program, batch).backward()
    with torch.no_grad():
        for one, value in before.items():
            one.copy_(value)
    clip_and_step(program)
    return loss.detach()


def make(parts: Parts) -> None:
    """The same program with two looks a step."""
    parts.step_fn = _step


CONTROL = control(__name__, __doc__, on=("mlp", "tabular", "gpt"), make=make)
