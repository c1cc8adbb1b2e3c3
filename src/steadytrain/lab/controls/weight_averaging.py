"""A moving average of the weights is kept beside the model.

## What it looks like
A second copy of every parameter moves without a gradient.

## Why it is healthy
It is evaluated, not trained.

## Source
Polyak and Juditsky 1992; Izmailov et al. 2018 (SWA).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.own_loops import right_step
from steadytrain.lab.zoo.planting import control


def _step(program: Program, batch: Any) -> Tensor:
    loss = right_step(program, batch)
    program.extra["average"].update_parameters(program.model)
    return loss


def make(parts: Parts) -> None:
    """The average follows the model after every step."""
    average = AveragedModel(parts.model, multi_avg_fn=get_ema_multi_avg_fn(0.99), use_buffers=True)
    parts.extra["average"] = average
    parts.step_fn = _step


CONTROL = control(__name__, __doc__, on=("mlp", "cnn", "gpt"), make=make)
