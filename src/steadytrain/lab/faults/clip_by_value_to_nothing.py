"""Every element of the gradient is clipped to a millionth.

## What is wrong
The threshold of a clip by norm was handed to a clip by value: nearly every element becomes plus
or minus the threshold, and the steps are too small to be seen.

## Remedy
Clip the norm, at about its median.

## Source
`clip_grad_value_` and `clip_grad_norm_` taken for one another.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.utils import clip_grad_value_

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import use_sgd
from steadytrain.lab.zoo.own_loops import loss_of, right_step
from steadytrain.lab.zoo.planting import fault


def _step(program: Program, batch: Any) -> Tensor:
    program.optimizer.zero_grad()
    loss = loss_of(program, batch)
    loss.backward()
    clip_grad_value_(program.model.parameters(), program.extra["largest"])
    program.optimizer.step()
    return loss.detach()


def prepare(parts: Parts) -> None:
    """SGD in a loop of one's own that clips the norm."""
    use_sgd(parts)
    parts.step_fn = right_step


def plant(parts: Parts) -> None:
    """The loop clips values instead."""
    parts.extra["largest"] = parts.case.pick("largest", (1e-5, 1e-6, 1e-7))
    parts.step_fn = _step


FAULT = fault(
    __name__,
    __doc__,
    cause="clip-too-tight",
    on=("cnn", "mlp", "lstm"),
    plant=plant,
    prepare=prepare,
    is_sudden=False,
)
