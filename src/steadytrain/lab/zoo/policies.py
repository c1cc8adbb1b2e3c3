"""Actor and critic on a corridor: walk right to the goal, every step costs a little."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Case, Parts
from steadytrain.lab.zoo.classifiers import mlp

LENGTH: Final = 8
HORIZON: Final = 24
NUM_WALKS: Final = 16
DISCOUNT: Final = 0.95
ENTROPY_WEIGHT: Final = 0.01


class ActorCritic(nn.Module):
    """A policy over left and right, and the value of a place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.actor = mlp([LENGTH, width, 2])
        self.critic = mlp([LENGTH, width, 1])


def walk(model: Any, generator: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Places, actions, rewards and whether a walk still goes on: [HORIZON, NUM_WALKS] each."""
    places = torch.randint(LENGTH // 2, (NUM_WALKS,), generator=generator)
    going = torch.ones(NUM_WALKS, dtype=torch.bool)
    seen: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    for _ in range(HORIZON):
        with torch.no_grad():
            chances = model.actor(functional.one_hot(places, LENGTH).float()).softmax(-1)
        actions = torch.multinomial(chances.nan_to_num(0.5), 1, generator=generator).squeeze(1)
        moved = (places + 2 * actions - 1).clamp(0, LENGTH - 1)
        arrived = moved == LENGTH - 1
        rewards = torch.where(arrived, 1.0, -0.02) * going
        seen.append((places, actions, rewards, going))
        places, going = torch.where(going, moved, places), going & ~arrived
    stacked = [torch.stack(column) for column in zip(*seen, strict=True)]
    return stacked[0], stacked[1], stacked[2], stacked[3]


def returns_of(rewards: Tensor) -> Tensor:
    """Discounted sums of what is still to come: [HORIZON, NUM_WALKS]."""
    total = torch.zeros(rewards.shape[1])
    sums: list[Tensor] = []
    for reward in rewards.flip(0):
        total = reward + DISCOUNT * total
        sums.append(total)
    return torch.stack(sums[::-1])


def actor_critic_loss(model: Any, batch: int) -> Tensor:
    """Policy gradient with normalised advantages, squared error of the critic, entropy.

    The batch is the seed of the walks.
    """
    places, actions, rewards, going = walk(model, Generator().manual_seed(batch))
    states = functional.one_hot(places, LENGTH).float()
    log_chances = model.actor(states.flatten(0, 1)).log_softmax(-1).view(*places.shape, 2)
    values = model.critic(states.flatten(0, 1)).view(places.shape)
    gains = returns_of(rewards)
    advantages = (gains - values.detach())[going]
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-6)
    chosen = log_chances.gather(-1, actions.unsqueeze(-1)).squeeze(-1)[going]
    entropy = -(log_chances.exp() * log_chances).sum(-1)[going].mean()
    critic = functional.mse_loss(values[going], gains[going])
    return -(advantages * chosen).mean() + 0.5 * critic - ENTROPY_WEIGHT * entropy


def mean_return(model: Any, batch: int) -> float:
    """The mean discounted return of new walks."""
    _, _, rewards, _ = walk(model, Generator().manual_seed(batch))
    return float(returns_of(rewards)[0].mean())


def _build(case: Case) -> Parts:
    start = 10_000 * (case.seed + 1)
    return Parts(
        case=case,
        model=ActorCritic(case.pick("width", (32, 48))),
        batches=list(range(start, start + 200)),
        loss_fn=actor_critic_loss,
        validation=start - 1,
        metric_fn=mean_return,
        rate=case.pick("rate", (2e-3, 3e-3)),
    )


BUILDERS: Final = {"actor-critic": _build}
