"""The losses are added up for the log, each with the graph it was computed by.

## What is wrong
The running total is a tensor that remembers every forward pass, and `retain_graph=True` keeps
what those passes saved: the training is right, and memory grows until there is none left.

## Remedy
Add up `loss.item()` or `loss.detach()`.

## Source
`total_loss += loss`, the first entry of PyTorch's FAQ on memory.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.own_loops import clip_and_step, loss_of
from steadytrain.lab.zoo.planting import fault


def _step(program: Program, batch: Any) -> Tensor:
    program.optimizer.zero_grad()
    loss = loss_of(program, batch)
    loss.backward(retain_graph=program.extra["with graph"])
    clip_and_step(program)
    program.extra["total"] += loss if program.extra["with graph"] else loss.detach()
    return loss.detach()


def prepare(parts: Parts) -> None:
    """A loop of one's own that adds up its losses."""
    parts.extra |= {"total": 0.0, "with graph": False}
    parts.step_fn = _step


def plant(parts: Parts) -> None:
    """The graphs are kept."""
    parts.extra["with graph"] = True


FAULT = fault(
    __name__,
    __doc__,
    cause="graph-retained",
    on=("cnn", "gpt", "resnet"),
    plant=plant,
    prepare=prepare,
    is_sudden=False,
)
