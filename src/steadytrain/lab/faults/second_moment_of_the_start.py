"""Adam remembers the large gradients of the beginning for the rest of the run.

## What is wrong
A weight on the loss is annealed away over the first steps. With a beta2 next to one the second
moment stays at the size of those first gradients, and every later step is far too short.

## Remedy
A beta2 of 0.9 to 0.95 where the gradients change their scale.

## Source
Wortsman et al. 2023 on stale second moments; beta2 of 0.95 since GPT-3.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.own_loops import loss_of
from steadytrain.lab.zoo.planting import fault


def _step(program: Program, batch: Any) -> Tensor:
    program.optimizer.zero_grad()
    loss = loss_of(program, batch)
    weight = 1.0 + program.extra["first weight"] * 0.7**program.step
    (weight * loss).backward()
    program.optimizer.step()
    return loss.detach()


def prepare(parts: Parts) -> None:
    """A weight of hundreds that is gone after some dozens of steps, and a short memory."""
    parts.extra["first weight"] = parts.case.pick("first weight", (300.0, 1000.0))
    parts.optimizer_options["betas"] = (0.9, 0.9)
    parts.step_fn = _step


def plant(parts: Parts) -> None:
    """A memory longer than the run."""
    parts.optimizer_options["betas"] = (0.9, parts.case.pick("beta2", (0.9999, 0.99999)))


FAULT = fault(
    __name__,
    __doc__,
    cause="adam-beta2-too-high",
    on=("mlp", "gpt", "vit", "tabular"),
    plant=plant,
    prepare=prepare,
    is_sudden=False,
)
