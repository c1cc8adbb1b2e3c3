"""Half precision whose loss scaler probes upwards, and skips a step whenever it went too far.

## What it looks like
Now and then all gradients are infinite, and the optimizer does not move.

## Why it is healthy
The scaler doubles its factor until it overflows, halves it, and goes on: one step in some dozens.

## Source
Micikevicius et al. 2018, Mixed precision training, section 3.2.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control

GROWTH_INTERVAL = 12
"""Steps between two probes; so few that a short run sees several."""


def _step(program: Program, batch: Any) -> Tensor:
    assert program.loss_fn is not None
    scaler = program.extra["scaler"]
    program.optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.float16):
        loss = program.loss_fn(program.model, batch)
    scaler.scale(loss).backward()
    scaler.unscale_(program.optimizer)
    scaler.step(program.optimizer)
    scaler.update()
    return loss.detach().float()


def make(parts: Parts) -> None:
    """Real half tensors on the processor, with a scaler that grows every dozen steps."""
    parts.extra["scaler"] = torch.amp.GradScaler(
        "cpu", init_scale=2.0**10, growth_interval=GROWTH_INTERVAL
    )
    parts.step_fn = _step


CONTROL = control(__name__, __doc__, on=("mlp", "tabular", "vae"), make=make)
