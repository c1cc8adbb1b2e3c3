"""Policy gradients from a few walks with noisy rewards.

## What it looks like
The loss hovers around zero, and gradient norms jump from step to step.

## Why it is healthy
The loss of a policy gradient measures nothing; the return rises.

## Source
Henderson et al. 2018, Deep reinforcement learning that matters.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.policies import LENGTH, returns_of, walk

NOISE = 0.3


def _loss(model: Any, batch: int) -> Tensor:
    generator = Generator().manual_seed(batch)
    places, actions, rewards, going = walk(model, generator)
    rewards = rewards + NOISE * torch.randn(rewards.shape, generator=generator) * going
    states = functional.one_hot(places, LENGTH).float()
    chances = model.actor(states.flatten(0, 1)).log_softmax(-1).view(*places.shape, 2)
    chosen = chances.gather(-1, actions.unsqueeze(-1)).squeeze(-1)[going]
    values, gains = (
        model.critic(states.flatten(0, 1)).view(places.shape)[going],
        returns_of(rewards),
    )
    advantages = gains[going] - values.detach()
    return functional.mse_loss(values, gains[going]) - (advantages * chosen).mean()


def make(parts: Parts) -> None:
    """Every reward has noise, and advantages are left as they come."""
    parts.loss_fn = _loss


CONTROL = control(__name__, __doc__, on=("actor-critic",), make=make, steps=400)
