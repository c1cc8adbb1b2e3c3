"""A feed-forward layer of several experts, of which each token takes one."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

NUM_EXPERTS: Final = 4


class Experts(nn.Module):
    """Norm, a router, the chosen expert times its probability. Shape: [n, time, width] -> same.

    `imbalance` is the term of Fedus et al. 2021 (Switch), 1 where all experts are used alike.
    """

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.router = nn.Linear(width, NUM_EXPERTS)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))
            for _ in range(NUM_EXPERTS)
        )
        self.imbalance = torch.ones(())

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        chances = self.router(x).softmax(-1)
        chosen = chances.argmax(-1)
        taken = functional.one_hot(chosen, NUM_EXPERTS).to(x.dtype)
        share = taken.flatten(0, -2).mean(0)
        self.imbalance = NUM_EXPERTS * (share * chances.flatten(0, -2).mean(0)).sum()
        weights = taken * chances
        out = torch.zeros_like(x)
        for place, expert in enumerate(self.experts):
            mine = chosen == place
            if mine.any():  # as in practice: an expert that nobody takes is not run
                out = out.index_put((mine,), weights[mine][:, place, None] * expert(x[mine]))
        return out


def imbalance(model: nn.Module) -> Tensor:
    """The mean imbalance over the layers of experts, at the last forward pass."""
    return torch.stack(
        [one.imbalance for one in model.modules() if isinstance(one, Experts)]
    ).mean()
