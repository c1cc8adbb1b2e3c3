"""The gradients are clipped while the loss scale is still in them.

## What is wrong
Clipping to 1 a gradient that is 65,536 times too large, and dividing it afterwards, leaves steps
that hardly move anything. The gradients pass real float16 tensors.

## Remedy
`scaler.unscale_(optimizer)` before `clip_grad_norm_`.

## Source
PyTorch's automatic mixed precision examples, "Gradient clipping".
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.optim import SGD

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.half import use_half
from steadytrain.lab.zoo.planting import fault


def _step(program: Program, batch: Any, *, unscale_first: bool) -> Tensor:
    assert program.loss_fn is not None
    program.optimizer.zero_grad()
    loss = program.loss_fn(program.model, batch)
    program.scaler.scale(loss).backward()
    if unscale_first:
        program.scaler.unscale_(program.optimizer)
    nn.utils.clip_grad_norm_(program.model.parameters(), 1.0)
    program.scaler.step(program.optimizer)
    program.scaler.update()
    return loss.detach()


def prepare(parts: Parts) -> None:
    """The right order; plain descent, because Adam does not feel a constant factor."""
    use_half(parts, scale=parts.case.pick("scale", (2.0**12, 2.0**14, 2.0**16)))
    rate = 30 * parts.rate
    parts.make_optimizer = lambda own: SGD(own.model.parameters(), lr=rate, momentum=0.9)
    parts.step_fn = lambda program, batch: _step(program, batch, unscale_first=True)


def plant(parts: Parts) -> None:
    """Clipped, then unscaled."""
    parts.step_fn = lambda program, batch: _step(program, batch, unscale_first=False)


FAULT = fault(
    __name__,
    __doc__,
    cause="unscale-order",
    on=("mlp", "tabular"),
    prepare=prepare,
    plant=plant,
)
