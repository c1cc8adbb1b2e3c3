"""The optimizer steps every so many batches, and an epoch has fewer.

## What is wrong
The batches are counted from nought in every epoch and the count at which the optimizer would step
is larger than the epoch: the gradients are cleared at its end and no step was ever made.

## Remedy
Count over the whole run, and step at the end of an epoch too.

## Source
`if (i + 1) % accumulation == 0` with a small data set.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.own_loops import clip_and_step, loss_of
from steadytrain.lab.zoo.planting import fault


def _step(program: Program, batch: Any) -> Tensor:
    every, place = program.extra["every"], program.step % len(list(program.batches))
    if place == 0:
        program.optimizer.zero_grad()
    loss = loss_of(program, batch)
    (loss / every).backward()
    if (place + 1) % every == 0:
        clip_and_step(program)
        program.optimizer.zero_grad()
    return loss.detach()


def prepare(parts: Parts) -> None:
    """Two microbatches per step in a loop of one's own."""
    parts.extra["every"] = 2
    parts.step_fn = _step


def plant(parts: Parts) -> None:
    """More microbatches per step than an epoch has."""
    parts.extra["every"] = parts.case.pick("every", (64, 128))


FAULT = fault(
    __name__,
    __doc__,
    cause="missing-optimizer-step",
    on=("cnn", "mlp", "lstm", "tabular"),
    plant=plant,
    prepare=prepare,
    steps=250,
)
