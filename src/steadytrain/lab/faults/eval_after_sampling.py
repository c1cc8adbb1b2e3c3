"""A sampling call sets evaluation mode, and training goes on in it.

## What is wrong
After some dozens of steps the model is evaluated and never set back: dropout is off, batch norm
no longer looks at the batch, and its running statistics stand while the weights move on.

## Remedy
`model.train()` after every evaluation; or restore the mode that was found.

## Source
nanoGPT's `generate` in the middle of a loop; PyTorch's forum.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.dropping import with_dropout
from steadytrain.lab.zoo.own_loops import right_step
from steadytrain.lab.zoo.planting import fault

_ONSET = 40


def _step(program: Program, batch: Any) -> Tensor:
    if program.step == _ONSET:
        program.model.eval()
    return right_step(program, batch)


def prepare(parts: Parts) -> None:
    """Dropout, and a loop of one's own."""
    with_dropout(parts)
    parts.step_fn = right_step


def plant(parts: Parts) -> None:
    """The loop evaluates once and forgets to go back."""
    parts.step_fn = _step


FAULT = fault(
    __name__,
    __doc__,
    cause="eval-mode-in-training",
    on=("cnn", "gpt", "resnet", "mlp"),
    plant=plant,
    prepare=prepare,
    onset=_ONSET,
)
