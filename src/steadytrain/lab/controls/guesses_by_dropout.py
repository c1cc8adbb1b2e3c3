"""Every tenth step the model guesses twenty times with its dropout on, to know how sure it is.

## What it looks like
Many forward passes in training mode that nothing is learned from.

## Why it is healthy
There is nothing in the model that remembers a forward pass; the spread of the guesses is what is
asked for.

## Source
Gal and Ghahramani 2016, Dropout as a Bayesian approximation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.own_loops import right_step
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.stacks import swap

PERIOD = 10
GUESSES = 20
DROPPED = 0.1


class Dropping(nn.Module):
    """ReLU, then dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.activation, self.dropout = nn.ReLU(), nn.Dropout(DROPPED)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.activation(x))


def _step(program: Program, batch: Any) -> Tensor:
    if program.step % PERIOD == 0:
        with torch.no_grad():
            guesses = torch.stack([program.model(batch[0]) for _ in range(GUESSES)])
            program.extra["spread"] = guesses.std(dim=0).mean()
    return right_step(program, batch)


def make(parts: Parts) -> None:
    """A tenth of the units is dropped, in training and in guessing."""
    swap(parts.model, nn.ReLU, lambda _: Dropping())
    parts.step_fn = _step


CONTROL = control(__name__, __doc__, on=("mlp", "tabular"), make=make)
