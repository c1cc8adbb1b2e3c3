"""The gradients are clipped when the optimizer has used them already.

## What is wrong
The clip stands one line too low: the log shows clipped norms, and the weights were moved by the
whole gradients.

## Remedy
Clip between backward and step.

## Source
Reports of clipping that does nothing; the classic recurrent recipe, which cannot do without it.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from steadytrain.core.program import Program
from steadytrain.lab.faults import recurrent_without_a_clip
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.own_loops import loss_of, right_step
from steadytrain.lab.zoo.planting import fault


def _step(program: Program, batch: Any) -> Tensor:
    program.optimizer.zero_grad()
    loss = loss_of(program, batch)
    loss.backward()
    program.optimizer.step()
    clip_grad_norm_(program.model.parameters(), program.clip or 1.0)
    return loss.detach()


def prepare(parts: Parts) -> None:
    """A high rate and a low clip, in a loop of one's own."""
    recurrent_without_a_clip.prepare(parts)
    parts.step_fn = right_step


def plant(parts: Parts) -> None:
    """The clip below the step."""
    parts.step_fn = _step


FAULT = fault(
    __name__,
    __doc__,
    cause="step-order",
    also=("missing-grad-clip",),
    on=("lstm",),
    plant=plant,
    prepare=prepare,
)
