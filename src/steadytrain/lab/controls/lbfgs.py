"""LBFGS with a line search: one step calls the closure many times.

## What it looks like
Many backward passes and no clearing that a watcher of the loop can see; steps of any length.

## Why it is healthy
The closure clears the gradients itself, and the line search takes no step that is worse.

## Source
Nocedal and Wright, Numerical optimization, chapter 7.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control


def _step(program: Program, batch: Any) -> Tensor:
    def closure() -> Tensor:
        assert program.loss_fn is not None
        program.optimizer.zero_grad()
        loss = program.loss_fn(program.model, batch)
        loss.backward()
        return loss

    return program.optimizer.step(closure).detach()


def make(parts: Parts) -> None:
    """All rows at once, at most four iterations a step."""
    parts.batches = [tuple(torch.cat(column) for column in zip(*parts.batches, strict=True))]
    parts.make_optimizer = lambda own: torch.optim.LBFGS(
        own.model.parameters(), max_iter=4, history_size=10, line_search_fn="strong_wolfe"
    )
    parts.step_fn = _step


CONTROL = control(__name__, __doc__, on=("tabular",), make=make, steps=120)
