"""The gradients are cleared before every microbatch of an accumulated step.

## What is wrong
Only the last microbatch counts, and at the weight it has in the whole: the batch is smaller than
meant, the step shorter, and most of the work is thrown away.

## Remedy
Clear once per window, before its first microbatch.

## Source
`zero_grad` left at the top of the loop when accumulation was added.
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
    window = pieces(batch, program.extra["window"])
    losses: list[Tensor] = []
    for place, piece in enumerate(window):
        if place == 0 or program.extra["clear always"]:
            program.optimizer.zero_grad()
        loss = loss_of(program, piece)
        (loss / len(window)).backward()
        losses.append(loss.detach())
    clip_and_step(program)
    return torch.stack(losses).mean()


def prepare(parts: Parts) -> None:
    """Each batch in several microbatches, SGD."""
    use_sgd(parts)
    parts.extra["window"] = parts.case.pick("window", (4, 8))
    parts.extra["clear always"] = False
    parts.step_fn = _step


def plant(parts: Parts) -> None:
    """Cleared before each of them."""
    parts.extra["clear always"] = True


FAULT = fault(
    __name__,
    __doc__,
    cause="step-order",
    on=("mlp", "lstm", "tabular"),
    plant=plant,
    prepare=prepare,
    is_sudden=False,
)
