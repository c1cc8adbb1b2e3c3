"""The optimizer steps the parameters of a model that is no longer the one in use.

## What is wrong
The model was copied, or built anew by a reset, after the optimizer had been made: gradients go to
the new parameters, steps to the old ones, and the loss does not move.

## Remedy
Build the optimizer after the model has its last form.

## Source
Cross-validation loops that reset the model between folds, and `model = copy.deepcopy(model)`.
"""

from __future__ import annotations

import copy

from torch import optim

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def _of_a_copy(parts: Parts) -> optim.Optimizer:
    return parts.optimizer(copy.deepcopy(parts.model).parameters())


def plant(parts: Parts) -> None:
    """The optimizer of the model before the copy."""
    parts.make_optimizer = _of_a_copy


FAULT = fault(
    __name__,
    __doc__,
    cause="stale-optimizer-params",
    also=("params-not-in-optimizer",),
    on=("mlp", "gpt", "cnn", "lstm"),
    plant=plant,
)
