"""Some targets are far off, and a loss that grows only linearly takes them as they come.

## What it looks like
The loss is many times its median on batches with an outlier, from the first step to the last.

## Why it is healthy
An outlier's gradient is bounded by the loss; what lies between them is fitted.

## Source
Huber 1964, Robust estimation of a location parameter.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.regressions import Batch

SHARE = 0.01
SIZE = 30.0
"""Deviations of an outlier's target, where the others have one."""


def _loss(model: nn.Module, batch: Batch) -> Tensor:
    return functional.huber_loss(model(batch[0]), batch[1])


def make(parts: Parts) -> None:
    """One target in a hundred is drawn from far away."""
    generator = parts.case.generator("outliers")
    batches: list[Batch] = []
    for features, target in parts.batches:
        is_far = torch.rand(target.shape, generator=generator) < SHARE
        far = SIZE * torch.randn(target.shape, generator=generator)
        batches.append((features, torch.where(is_far, far, target)))
    parts.batches, parts.loss_fn = batches, _loss


CONTROL = control(__name__, __doc__, on=("tabular",), make=make, steps=300)
