"""Of two optimizers that are trained in turn, one is never stepped.

## What is wrong
The discriminator gets its gradients and keeps its random weights; the generator learns to please
a judge who knows nothing.

## Remedy
Step both optimizers, each after its own backward.

## Source
Loops with several optimizers in which one step was lost in an edit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.generators import NOISE
from steadytrain.lab.zoo.planting import fault


def _step(program: Program, real: Tensor) -> Tensor:
    model: Any = program.model
    judge = program.extra["discriminator"]
    fake = model.generator(torch.randn(len(real), NOISE))
    judge.zero_grad()
    judged = model.discriminator(torch.cat([real, fake.detach()]))
    truth = torch.cat([torch.ones(len(real), 1), torch.zeros(len(real), 1)])
    functional.binary_cross_entropy_with_logits(judged, truth).backward()
    program.optimizer.zero_grad()
    convinced = model.discriminator(fake)
    loss = functional.binary_cross_entropy_with_logits(convinced, torch.ones_like(convinced))
    loss.backward()
    program.optimizer.step()
    return loss.detach()


def plant(parts: Parts) -> None:
    """The discriminator's step is left out."""
    parts.step_fn = _step


def places(_parts: Parts) -> tuple[str, ...]:
    """The discriminator."""
    return ("discriminator",)


FAULT = fault(
    __name__,
    __doc__,
    cause="missing-optimizer-step",
    also=("params-not-in-optimizer",),
    on=("gan",),
    plant=plant,
    sites=places,
)
