"""Two optimizers take turns: the body learns on one batch, the head on the next.

## What it looks like
Each parameter stands still on every other step, with a gradient that nobody uses.

## Why it is healthy
Both move on their own turn, and the gradients are cleared before each.

## Source
Alternating minimisation; any loop with two optimizers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control


def _step(program: Program, batch: Any) -> Tensor:
    assert program.loss_fn is not None
    program.model.zero_grad()
    loss = program.loss_fn(program.model, batch)
    loss.backward()
    turn = program.extra["head"] if program.step % 2 else program.optimizer
    turn.step()
    return loss.detach()


def make(parts: Parts) -> None:
    """The last weight and bias belong to an optimizer of their own."""
    *body, weight, bias = parts.model.parameters()
    parts.extra["head"] = torch.optim.Adam([weight, bias], lr=parts.rate)
    parts.make_optimizer = lambda own: own.optimizer(body)
    parts.step_fn = _step


CONTROL = control(__name__, __doc__, on=("mlp", "cnn", "tabular"), make=make)
