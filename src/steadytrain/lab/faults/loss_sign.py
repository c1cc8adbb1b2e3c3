"""The loss, or a term of it, is maximised.

## What is wrong
A minus too many or too few: the whole loss is negated, the divergence is subtracted, or the policy
runs from the actions that paid.

## Remedy
Turn the sign; write the term so that less of it is better.

## Source
A reward handed to an optimizer that minimises; TheDeepChecker's wrong loss sign.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.policies import ENTROPY_WEIGHT
from steadytrain.lab.zoo.policy_terms import entropy_of, standard, walked


def divergence_subtracted(model: Any, batch: Any) -> Tensor:
    """The evidence bound with its divergence on the wrong side."""
    pictures = batch[0].flatten(1)
    drawn, mean, log_variance = model(pictures)
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(-1).mean()
    return functional.mse_loss(drawn, pictures) - 0.1 * divergence / pictures.shape[1]


def policy_reversed(model: Any, batch: int) -> Tensor:
    """The policy's term without its minus."""
    seen = walked(model, batch)
    critic = functional.mse_loss(seen.values, seen.gains)
    policy = (standard(seen.advantages) * seen.chosen).mean()
    return policy + 0.5 * critic - ENTROPY_WEIGHT * entropy_of(seen.logits)


def plant(parts: Parts) -> None:
    """A term of the generative model and of the policy; the whole loss elsewhere."""
    healthy, architecture = parts.loss_fn, parts.case.architecture
    assert healthy is not None
    if architecture == "vae":
        parts.loss_fn = divergence_subtracted
    elif architecture == "actor-critic":
        parts.loss_fn = policy_reversed
    else:
        parts.loss_fn = lambda model, batch: -healthy(model, batch)


FAULT = fault(
    __name__,
    __doc__,
    cause="loss-sign",
    on=("mlp", "tabular", "vae", "actor-critic", "gpt"),
    plant=plant,
)
