"""Lion: every weight moves by the same amount on every step.

## What it looks like
The update norm is the same at the start and at the end, whatever the gradient.

## Why it is healthy
The rate is a third of Adam's; signs that disagree cancel over steps.

## Source
Chen et al. 2023, Symbolic discovery of optimization algorithms.
"""

from __future__ import annotations

from typing import Any

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control


class Lion(torch.optim.Optimizer):
    """The sign of a mix of gradient and momentum, times the rate."""

    def __init__(self, params: Any, lr: float, betas: tuple[float, float] = (0.9, 0.99)) -> None:
        super().__init__(params, {"lr": lr, "betas": betas})

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:  # noqa: ARG002
        for group in self.param_groups:
            slow, fast = group["betas"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                weight.sub_(group["lr"] * torch.lerp(weight.grad, momentum, slow).sign())
                momentum.lerp_(weight.grad, 1 - fast)


def make(parts: Parts) -> None:
    """A third of the rate of Adam."""
    parts.make_optimizer = lambda own: Lion(own.model.parameters(), lr=own.rate / 3)


CONTROL = control(__name__, __doc__, on=("mlp", "gpt", "vit"), make=make)
