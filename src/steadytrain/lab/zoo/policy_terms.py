"""The terms of the actor-critic's loss one by one, for faults that change one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Generator, Tensor
from torch.nn import functional

from steadytrain.lab.zoo.policies import LENGTH, returns_of, walk


@dataclass(frozen=True, slots=True)
class Walked:
    """What a batch of walks says, over the steps that were still going on. Shape: [m]."""

    places: Tensor
    logits: Tensor
    """[m, 2]"""
    chosen: Tensor
    """Log-probability of the action taken."""
    values: Tensor
    gains: Tensor

    @property
    def advantages(self) -> Tensor:
        """Gains over the critic's expectation, as they are."""
        return self.gains - self.values.detach()


def walked(model: Any, seed: int, *, reward_factor: float = 1.0) -> Walked:
    """New walks, judged by the model."""
    places, actions, rewards, going = walk(model, Generator().manual_seed(seed))
    places, actions = places[going], actions[going]
    states = functional.one_hot(places, LENGTH).float()
    logits = model.actor(states)
    return Walked(
        places=places,
        logits=logits,
        chosen=logits.log_softmax(-1).gather(-1, actions.unsqueeze(-1)).squeeze(-1),
        values=model.critic(states).squeeze(-1),
        gains=returns_of(reward_factor * rewards)[going],
    )


def standard(values: Tensor) -> Tensor:
    """`values` at zero mean and unit deviation."""
    return (values - values.mean()) / (values.std() + 1e-6)


def entropy_of(logits: Tensor) -> Tensor:
    """The mean entropy, safe where a probability is zero."""
    logs = logits.log_softmax(-1)
    return -(logs.exp() * logs).sum(-1).mean()
