"""Lookahead: every fifth step the weights go half the way back to where they were five steps ago.

## What it looks like
Every fifth update is many times the others and points backwards, and the loss jumps there.

## Why it is healthy
The slow weights average over the fast ones; five steps forward and half of them back is progress.

## Source
Zhang et al. 2019, Lookahead optimizer: k steps forward, 1 step back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.own_loops import right_step
from steadytrain.lab.zoo.planting import control

PERIOD = 5


def _step(program: Program, batch: Any) -> Tensor:
    weights = list(program.model.parameters())
    slow = program.extra.setdefault("slow", [one.detach().clone() for one in weights])
    loss = right_step(program, batch)
    if (program.step + 1) % PERIOD == 0:
        with torch.no_grad():
            for one, behind in zip(weights, slow, strict=True):
                behind.lerp_(one, 0.5)
                one.copy_(behind)
    return loss


def make(parts: Parts) -> None:
    """The same program with slow weights."""
    parts.step_fn = _step


CONTROL = control(__name__, __doc__, on=("mlp", "gpt", "tabular"), make=make)
