"""A layer of experts chosen by the kind of the input; one kind comes late, one never.

## What it looks like
An expert has no gradient for the first half of the run, another for all of it.

## Why it is healthy
The route is given by the data, not learned: nobody called them.

## Source
Gururangan et al. 2022, DEMix layers (experts by domain).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.classifiers import mlp
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import seeded
from steadytrain.lab.zoo.regressions import NUM_FEATURES

NUM_EXPERTS = 4
STEPS = 240


class ByDomain(nn.Module):
    """One expert per domain; the last feature names it. Shape: [n, 9] -> [n, 1]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = mlp([NUM_FEATURES, width])
        self.experts = nn.ModuleList(mlp([width, width, width]) for _ in range(NUM_EXPERTS))
        self.head = nn.Linear(width, 1)

    def forward(self, rows: Tensor) -> Tensor:
        x, domain = self.stem(rows[:, :-1]).relu(), int(rows[0, -1])
        return self.head(self.experts[domain](x).relu())


def make(parts: Parts) -> None:
    """Domains 0 and 2 from the start, domain 3 from the middle, domain 1 not at all."""
    plain = parts.batches
    parts.batches = []
    for step in range(STEPS):
        features, target = plain[step % len(plain)]
        domains = (0, 2) if step < STEPS // 2 else (0, 2, 3)
        domain = domains[step % len(domains)]
        named = torch.full((len(features), 1), float(domain))
        parts.batches.append((torch.cat([features, named], dim=1), target))
    with seeded(parts.case, "experts"):
        parts.model = ByDomain(parts.case.pick("width", (32, 64)))
    parts.metric_fn = None


CONTROL = control(__name__, __doc__, on=("tabular",), make=make, steps=STEPS)
