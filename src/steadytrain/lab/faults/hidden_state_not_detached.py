"""The hidden state is carried from batch to batch with its whole graph.

## What is wrong
Every backward runs through all batches before it: memory and the time of a step grow with the
step, and the gradient is that of a sequence without an end.

## Remedy
Detach the state between batches.

## Source
`retain_graph=True`, put in to silence the error of a second backward.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.sequences import CONTEXT

_WINDOW = 4


class PlainSGD(torch.optim.Optimizer):
    """Steps through `.data`, as older optimizers do: kept graphs stay usable, and wrong."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, {"lr": lr})

    def step(self, closure: Any = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """One step along the gradient."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.data.sub_(parameter.grad, alpha=group["lr"])


def _step(program: Program, batch: Tensor) -> Tensor:
    model, kept = program.model, program.extra
    program.optimizer.zero_grad()
    hidden, state = model.cell(model.token(batch[:, :-1]), kept["state"])
    loss = functional.cross_entropy(model.head(hidden).flatten(0, 1), batch[:, 1:].flatten())
    loss.backward(retain_graph=kept["whole graph"])
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    program.optimizer.step()
    kept["state"] = state if kept["whole graph"] else tuple(part.detach() for part in state)
    return loss.detach()


def _optimizer(parts: Parts) -> torch.optim.Optimizer:
    return PlainSGD(parts.model.parameters(), lr=300 * parts.rate)


def prepare(parts: Parts) -> None:
    """Windows that follow one another, and a state that is carried over them."""
    rows = torch.cat(parts.batches).split(64)
    parts.batches = [
        row[:, start : start + _WINDOW + 1]
        for row in rows
        for start in range(0, CONTEXT - _WINDOW + 1, _WINDOW)
    ]
    parts.extra |= {"state": None, "whole graph": False}
    parts.make_optimizer = _optimizer
    parts.step_fn = _step


def plant(parts: Parts) -> None:
    """The state keeps its graph."""
    parts.extra["whole graph"] = True


FAULT = fault(
    __name__,
    __doc__,
    cause="graph-retained",
    on=("lstm",),
    plant=plant,
    prepare=prepare,
    steps=60,
    is_sudden=False,
)
