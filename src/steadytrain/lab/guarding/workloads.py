"""Five small training loops, each in parts that a loop of any kind can put together.

Every loop has one optimizer per turn, a rate that falls to zero (so that the end is less noisy
than the way there), and a cost of what was trained: lower is better, measured on held-out data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn

from steadytrain.blocks import gradient_penalty
from steadytrain.lab.zoo.case import Case, Parts, parts_of
from steadytrain.lab.zoo.classifiers import cross_entropy
from steadytrain.lab.zoo.generators import NOISE
from steadytrain.lab.zoo.policies import mean_return

NUM_EVALUATIONS: Final = 20
"""Sets of walks whose mean return is the actor's evaluation."""
BEST_RETURN: Final = 1.0
"""No discounted return of the corridor is higher."""
AVERAGE_DECAY: Final = 0.9


@dataclass(frozen=True, slots=True)
class Turn:
    """What one optimizer does with a batch."""

    optimizer: torch.optim.Optimizer
    loss_fn: Callable[[Any], Tensor]
    every: int = 1
    """Only every so many batches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A loop in parts."""

    model: nn.Module
    turns: list[Turn]
    schedulers: list[Any]
    batches: list[Any]
    cost: Callable[[], float]
    entrance: nn.Module
    """The first layer, whose input is the data, or whose output is what tokens stand for."""
    average: Any = None

    @property
    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Of all turns."""
        return [turn.optimizer for turn in self.turns]

    def everything(self) -> list[Tensor]:
        """Weights, buffers and averages: what must be finite at the end."""
        modules = [self.model] if self.average is None else [self.model, self.average]
        return [t for m in modules for t in (*m.parameters(), *m.buffers())]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the builders share."""

    seed: int
    steps: int
    rates: list[Any] = field(default_factory=list[Any])

    def adam(
        self, module: nn.Module, rate: float, betas: tuple[float, float] = (0.9, 0.999)
    ) -> Any:
        """Adam whose rate falls to zero over the run."""
        optimizer = torch.optim.Adam(module.parameters(), lr=rate, betas=betas)
        falling = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: max(0.0, 1.0 - step / self.steps)
        )
        self.rates.append(falling)
        return optimizer


def _of(parts: Parts, plan: _Plan, cost: Callable[[], float], entrance: nn.Module) -> Workload:
    model, loss_fn = parts.model, parts.loss_fn
    assert loss_fn is not None
    turn = Turn(plan.adam(model, parts.rate), lambda batch: loss_fn(model, batch))
    return Workload(
        model=model,
        turns=[turn],
        schedulers=plan.rates,
        batches=parts.batches,
        cost=cost,
        entrance=entrance,
    )


def _classifier(plan: _Plan) -> Workload:
    """A convolutional network with batch norm, and an average of its weights."""
    parts = parts_of(Case(architecture="cnn", seed=plan.seed))
    model: Any = parts.model
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGE_DECAY)
    )

    def cost() -> float:
        model.eval()
        with torch.no_grad():
            loss = float(cross_entropy(model, parts.validation))
        model.train()
        return loss

    own = _of(parts, plan, cost, model[0])
    return Workload(
        model=own.model,
        turns=own.turns,
        schedulers=own.schedulers,
        batches=own.batches,
        cost=cost,
        entrance=own.entrance,
        average=average,
    )


def _characters(architecture: str) -> Callable[[_Plan], Workload]:
    def build(plan: _Plan) -> Workload:
        parts = parts_of(Case(architecture=architecture, seed=plan.seed))
        model: Any = parts.model
        metric = parts.metric_fn
        assert metric is not None
        return _of(parts, plan, lambda: -metric(model, parts.validation), model.token)

    return build


def _actor_critic(plan: _Plan) -> Workload:
    parts = parts_of(Case(architecture="actor-critic", seed=plan.seed))
    model: Any = parts.model

    def cost() -> float:
        returns = [mean_return(model, seed) for seed in range(NUM_EVALUATIONS)]
        return BEST_RETURN - sum(returns) / len(returns)

    return _of(parts, plan, cost, model.critic[0])


def _wasserstein(plan: _Plan) -> Workload:
    """A critic with a gradient penalty every batch, a generator every second one."""
    parts = parts_of(Case(architecture="gan", seed=plan.seed))
    model: Any = parts.model
    generator, critic = model.generator, model.discriminator

    def critic_loss(real: Tensor) -> Tensor:
        with torch.no_grad():
            fake = generator(torch.randn(len(real), NOISE))
        gap = critic(fake).mean() - critic(real).mean()
        return gap + gradient_penalty(critic, real, fake)

    def generator_loss(real: Tensor) -> Tensor:
        return -critic(generator(torch.randn(len(real), NOISE))).mean()

    def cost() -> float:
        noise = torch.randn(512, NOISE, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            return distance(generator(noise), torch.cat(parts.batches)[:512])

    turns = [
        Turn(plan.adam(critic, 1e-3, (0.5, 0.9)), critic_loss),
        Turn(plan.adam(generator, 1e-3, (0.5, 0.9)), generator_loss, every=2),
    ]
    return Workload(
        model=model,
        turns=turns,
        schedulers=plan.rates,
        batches=parts.batches,
        cost=cost,
        entrance=critic[0],
    )


def distance(made: Tensor, real: Tensor) -> float:
    """The energy distance of two sets of points: 0 where they have one distribution."""
    across = torch.cdist(made, real).mean()
    within = torch.cdist(made, made).mean() + torch.cdist(real, real).mean()
    return float((2 * across - within).clamp(min=0).sqrt())


BUILDERS: Final[dict[str, Callable[[_Plan], Workload]]] = {
    "BatchNorm CNN": _classifier,
    "character GPT": _characters("gpt"),
    "LSTM": _characters("lstm"),
    "actor-critic": _actor_critic,
    "WGAN-GP": _wasserstein,
}


def build(name: str, seed: int, steps: int) -> Workload:
    """The workload, the same bits for the same arguments."""
    return BUILDERS[name](_Plan(seed, steps))
