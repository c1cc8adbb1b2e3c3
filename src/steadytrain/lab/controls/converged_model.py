"""A student that has become its teacher: gradients fall by orders of magnitude.

## What it looks like
Gradient norms and losses end thousands of times below where they began, as if they vanished.

## Why it is healthy
The student can equal the teacher on the few inputs there are, and nearly does: nothing is left to
be learned.

## Source
Hinton et al. 2015 with a student of the teacher's own size; the textbook check "gradient below
1e-7" calls every such run vanishing.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import frozen_copy

DISTANCE = 0.3
"""Of the student from the teacher at the start, as a share of each weight's own spread."""


def make(parts: Parts) -> None:
    """The model regresses the outputs of a copy from which it was moved away, on one small set."""
    teacher = frozen_copy(parts.model)
    generator = parts.case.generator("distance")
    with torch.no_grad():
        for weight in parts.model.parameters():
            if weight.dim() > 1:
                noise = torch.randn(weight.shape, generator=generator)
                weight.add_(DISTANCE * weight.std() * noise)

    def towards_teacher(model: nn.Module, batch: Any) -> Tensor:
        with torch.no_grad():
            wanted = teacher(batch[0])
        return functional.mse_loss(model(batch[0]), wanted)

    parts.batches = parts.batches[:1]
    parts.loss_fn, parts.metric_fn = towards_teacher, None
    parts.make_scheduler = lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(
        optimizer, gamma=0.993
    )


CONTROL = control(__name__, __doc__, on=("mlp", "tabular", "vit"), make=make, steps=400)
