"""Every tenth step is preceded by an evaluation on other data.

## What it looks like
Forward passes without a backward pass, in evaluation mode, on larger batches.

## Why it is healthy
The mode is put back, and nothing is learned from them.

## Source
Most training loops.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.own_loops import right_step
from steadytrain.lab.zoo.planting import control

PERIOD = 10


def _step(program: Program, batch: Any) -> Tensor:
    if program.step % PERIOD == 0:
        assert program.metric_fn is not None
        program.model.eval()
        program.metric_fn(program.model, program.validation)
        program.model.train()
    return right_step(program, batch)


def make(parts: Parts) -> None:
    """The loop evaluates by itself."""
    parts.step_fn = _step


CONTROL = control(__name__, __doc__, on=("cnn", "resnet", "gpt", "tabular"), make=make)
