"""The model is validated in training mode.

## What is wrong
Every so many steps a validation pass runs through batch norm and dropout as if it were training:
the running statistics take on the validation data, which comes sorted, and the figure that is
logged is that of another network than the one that is shipped.

## Remedy
`model.eval()` before the validation, `model.train()` after it.

## Source
The counterpart of the forgotten `train()`; batch statistics leaking from validation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.dropping import with_dropout
from steadytrain.lab.zoo.own_loops import loss_of, right_step
from steadytrain.lab.zoo.planting import fault

_EVERY = 5


def _step(program: Program, batch: Any) -> Tensor:
    loss = right_step(program, batch)
    if program.step % _EVERY == _EVERY - 1:
        program.model.train(program.extra["training mode"])
        with torch.no_grad():
            program.extra["validation losses"].append(
                [float(loss_of(program, part)) for part in program.extra["by class"]]
            )
        program.model.train()
    return loss


def prepare(parts: Parts) -> None:
    """A loop of one's own, validated class by class."""
    with_dropout(parts)
    inputs, labels = parts.validation
    classes = [labels == label for label in labels.unique()]
    parts.extra["by class"] = [(inputs[some], labels[some]) for some in classes]
    parts.extra["validation losses"] = []
    parts.extra["training mode"] = False
    parts.step_fn = _step


def plant(parts: Parts) -> None:
    """The mode is left as it is."""
    parts.extra["training mode"] = True


FAULT = fault(
    __name__,
    __doc__,
    cause="train-mode-in-eval",
    also=("batchnorm-running-stats",),
    on=("cnn", "resnet"),
    plant=plant,
    prepare=prepare,
    onset=_EVERY,
)
