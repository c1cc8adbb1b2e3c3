"""The losses of accumulated microbatches are summed where their mean is meant.

## What is wrong
The gradient is as many times too large as there are microbatches, and so is SGD's step.

## Remedy
Divide each loss by the number of microbatches.

## Source
Accumulation added to a loop that worked; huggingface/transformers issue 34191 for the other way.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import use_sgd
from steadytrain.lab.zoo.own_loops import clip_and_step, loss_of, pieces
from steadytrain.lab.zoo.planting import fault


def _step(program: Program, batch: Any) -> Tensor:
    program.optimizer.zero_grad()
    losses: list[Tensor] = []
    for piece in pieces(batch, program.extra["window"]):
        loss = loss_of(program, piece)
        (loss / program.extra["divisor"]).backward()
        losses.append(loss.detach())
    clip_and_step(program)
    return torch.stack(losses).mean()


def prepare(parts: Parts) -> None:
    """Each batch in 8 or 16 microbatches, SGD without a clip."""
    use_sgd(parts)
    parts.clip = None
    window = parts.case.pick("window", (8, 16))
    parts.extra |= {"window": window, "divisor": window}
    parts.step_fn = _step


def plant(parts: Parts) -> None:
    """Nothing is divided."""
    parts.extra["divisor"] = 1


FAULT = fault(
    __name__,
    __doc__,
    cause="accum-not-divided",
    also=("loss-reduction", "lr-too-high"),
    on=("mlp", "tabular", "vae"),
    plant=plant,
    prepare=prepare,
)
