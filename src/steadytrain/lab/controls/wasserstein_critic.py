"""A Wasserstein GAN: the critic takes five steps for one of the generator.

## What it looks like
Losses without a floor, of either sign; weights cut back to a box after every step.

## Why it is healthy
The critic's gap estimates a distance, and shrinks as the points move to the ring.

## Source
Arjovsky et al. 2017, algorithm 1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.generators import NOISE
from steadytrain.lab.zoo.planting import control

NUM_CRITIC_STEPS = 5
BOX = 0.1


def _step(program: Program, real: Tensor) -> Tensor:
    model, critic = program.model, program.extra["discriminator"]
    for _ in range(NUM_CRITIC_STEPS):
        with torch.no_grad():
            fake = model.generator(torch.randn(len(real), NOISE))
        critic.zero_grad()
        (model.discriminator(fake).mean() - model.discriminator(real).mean()).backward()
        critic.step()
        with torch.no_grad():
            for weight in model.discriminator.parameters():
                weight.clamp_(-BOX, BOX)
    program.optimizer.zero_grad()
    loss = -model.discriminator(model.generator(torch.randn(len(real), NOISE))).mean()
    loss.backward()
    program.optimizer.step()
    return loss.detach()


def make(parts: Parts) -> None:
    """Both networks under RMSprop, the critic's weights in a box."""
    model: Any = parts.model
    parts.extra["discriminator"] = torch.optim.RMSprop(
        model.discriminator.parameters(), lr=parts.rate
    )
    parts.make_optimizer = lambda own: torch.optim.RMSprop(
        model.generator.parameters(), lr=own.rate / 2
    )
    parts.step_fn = _step


CONTROL = control(__name__, __doc__, on=("gan",), make=make, steps=300)
