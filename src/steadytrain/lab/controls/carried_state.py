"""An LSTM whose state goes on from batch to batch, cut from the graph between them.

## What it looks like
The model is called with numbers that no data set holds, and grows warm over steps.

## Why it is healthy
The state is detached: gradients end at the batch, and so does memory.

## Source
Mikolov et al. 2010; truncated backpropagation through time.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.own_loops import clip_and_step
from steadytrain.lab.zoo.planting import control


def _step(program: Program, batch: Tensor) -> Tensor:
    model: Any = program.model
    program.optimizer.zero_grad()
    out, state = model.cell(model.token(batch[:, :-1]), program.extra.get("state"))
    loss = functional.cross_entropy(model.head(out).flatten(0, 1), batch[:, 1:].flatten())
    loss.backward()
    clip_and_step(program)
    program.extra["state"] = tuple(part.detach() for part in state)
    return loss.detach()


def make(parts: Parts) -> None:
    """The loop keeps the state."""
    parts.step_fn = _step


CONTROL = control(__name__, __doc__, on=("lstm",), make=make)
