"""Noise is added to every gradient, less and less over the run.

## What it looks like
Gradient norms are those of the noise, not of the loss.

## Why it is healthy
It averages out, and the loss falls.

## Source
Neelakantan et al. 2015, Adding gradient noise improves learning for very deep networks.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control

DEVIATION = 0.01
DECAY = 0.55


def _step(program: Program, batch: Any) -> Tensor:
    assert program.loss_fn is not None
    program.optimizer.zero_grad()
    loss = program.loss_fn(program.model, batch)
    loss.backward()
    deviation = DEVIATION / (1 + program.step) ** (DECAY / 2)
    for weight in program.model.parameters():
        weight.grad.add_(torch.randn_like(weight.grad), alpha=deviation)
    program.optimizer.step()
    return loss.detach()


def make(parts: Parts) -> None:
    """The schedule of the paper, at a hundredth."""
    parts.step_fn = _step


CONTROL = control(__name__, __doc__, on=("mlp", "tabular", "cnn"), make=make)
