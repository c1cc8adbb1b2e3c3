"""Rewards are counted in hundreds or thousands, and nothing brings them to scale.

## What is wrong
The advantages multiply the policy's gradient and the returns the critic's error: both take steps
that belong to the unit of the reward, not to the task.

## Remedy
Scale or clip the rewards; normalise the advantages.

## Source
Henderson et al. 2018 (Deep Reinforcement Learning that Matters), section 5.3, on reward scale.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.policies import ENTROPY_WEIGHT
from steadytrain.lab.zoo.policy_terms import entropy_of, walked


def in_units_of_the_game(model: Any, batch: int, *, factor: float) -> Tensor:
    """Rewards times `factor`, advantages as they are."""
    seen = walked(model, batch, reward_factor=factor)
    policy = -(seen.advantages * seen.chosen).mean()
    critic = functional.mse_loss(seen.values, seen.gains)
    return policy + 0.5 * critic - ENTROPY_WEIGHT * entropy_of(seen.logits)


def plant(parts: Parts) -> None:
    """A factor of the case's seed."""
    factor = parts.case.pick("factor", (300.0, 1e3, 1e4))
    parts.loss_fn = partial(in_units_of_the_game, factor=factor)


FAULT = fault(__name__, __doc__, cause="reward-scale", on=("actor-critic",), plant=plant)
