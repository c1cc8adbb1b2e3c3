"""The entropy of a policy is written p log p, and one action is impossible.

## What is wrong
A masked action has probability zero: zero times minus infinity is NaN, and so is the loss.

## Remedy
Take the entropy from `log_softmax` of logits that are masked with a large finite number.

## Source
Action masking in the loops that people write after Huang and Ontanon 2020.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.policies import ENTROPY_WEIGHT
from steadytrain.lab.zoo.policy_terms import Walked, entropy_of, standard, walked

MASKED: Final = -1e9
"""A logit that leaves no probability and is still a number."""


def _masked(seen: Walked, fill: float) -> Tensor:
    """The logits with the step to the left forbidden where there is a wall."""
    at_wall = (seen.places == 0).unsqueeze(1) & torch.tensor([True, False])
    return seen.logits.masked_fill(at_wall, fill)


def _loss(seen: Walked, entropy: Tensor) -> Tensor:
    critic = functional.mse_loss(seen.values, seen.gains)
    policy = -(standard(seen.advantages) * seen.chosen).mean()
    return policy + 0.5 * critic - ENTROPY_WEIGHT * entropy


def finite_mask(model: Any, batch: int) -> Tensor:
    """The entropy over what is possible, in logarithms."""
    seen = walked(model, batch)
    return _loss(seen, entropy_of(_masked(seen, MASKED)))


def hard_mask(model: Any, batch: int) -> Tensor:
    """The entropy by the book, over probabilities that may be zero."""
    seen = walked(model, batch)
    chances = _masked(seen, float("-inf")).softmax(-1)
    return _loss(seen, -(chances * chances.log()).sum(-1).mean())


def prepare(parts: Parts) -> None:
    """A masked action, handled safely."""
    parts.loss_fn = finite_mask


def plant(parts: Parts) -> None:
    """A masked action under a logarithm."""
    parts.loss_fn = hard_mask


def sites(_parts: Parts) -> tuple[str, ...]:
    """The NaN enters at the policy's last layer."""
    return ("actor.3",)


FAULT = fault(
    __name__,
    __doc__,
    cause="log-of-zero",
    on=("actor-critic",),
    prepare=prepare,
    plant=plant,
    sites=sites,
)
