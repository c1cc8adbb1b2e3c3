"""PPO: eight updates on the same walks, before new ones are walked.

## What it looks like
The same batch again and again, a loss near zero of either sign, and gradients that vanish where the
ratio is clipped.

## Why it is healthy
The loss of a clipped policy gradient measures nothing; the return rises.

## Source
Schulman et al. 2017, Proximal policy optimization.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.own_loops import clip_and_step
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.policies import LENGTH, returns_of, walk

UPDATES = 8
CLIP = 0.2


def _rollout(model: Any, batch: int) -> tuple[Tensor, ...]:
    """States, actions, their chances when walked, advantages and returns."""
    places, actions, rewards, going = walk(model, Generator().manual_seed(batch))
    states = functional.one_hot(places[going], LENGTH).float()
    gains = returns_of(rewards)[going]
    with torch.no_grad():
        chances = _chances(model, states, actions[going])
        advantages = gains - model.critic(states).squeeze(-1)
    spread = advantages.std() + 1e-6
    return states, actions[going], chances, (advantages - advantages.mean()) / spread, gains


def _chances(model: Any, states: Tensor, actions: Tensor) -> Tensor:
    """The logarithm of the chance of each action."""
    return model.actor(states).log_softmax(-1).gather(-1, actions.unsqueeze(-1)).squeeze(-1)


def _step(program: Program, batch: int) -> Tensor:
    if program.step % UPDATES == 0:
        program.extra["rollout"] = _rollout(program.model, batch)
    model: Any = program.model
    states, actions, before, advantages, gains = program.extra["rollout"]
    ratio = (_chances(model, states, actions) - before).exp()
    clipped = ratio.clamp(1 - CLIP, 1 + CLIP)
    policy = torch.minimum(ratio * advantages, clipped * advantages).mean()
    critic = functional.mse_loss(model.critic(states).squeeze(-1), gains)
    program.optimizer.zero_grad()
    loss = 0.5 * critic - policy
    loss.backward()
    clip_and_step(program)
    return loss.detach()


def make(parts: Parts) -> None:
    """The same corridor, walked for every eighth step."""
    parts.step_fn = _step


CONTROL = control(__name__, __doc__, on=("actor-critic",), make=make, steps=400)
