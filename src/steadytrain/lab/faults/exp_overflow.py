"""A softmax by hand takes the exponential of similarities over a falling temperature.

## What is wrong
`exp(similarity / temperature)` exceeds float32 as soon as a similarity is above 88.7 temperatures:
infinity over infinity is NaN.

## Remedy
`logsumexp`, which subtracts the largest first, or a floor under the temperature.

## Source
Contrastive losses by hand at a temperature of 0.01.
"""

from __future__ import annotations

import math
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Case, Parts
from steadytrain.lab.zoo.images import accuracy
from steadytrain.lab.zoo.outputs import replace_last
from steadytrain.lab.zoo.planting import fault

WARMEST, COLDEST, FALL = 0.1, 0.005, 40
LARGEST: Final = math.log(torch.finfo(torch.float32).max)
WIDTH: Final = 24


class Similarity(nn.Module):
    """The cosine between features and one prototype per class. Shape: [n, width] -> [n, 10]."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        start = torch.randn(10, WIDTH, generator=case.generator("prototypes"))
        self.prototypes = nn.Parameter(start)

    def forward(self, features: Tensor) -> Tensor:
        prototypes = functional.normalize(self.prototypes, dim=-1)
        return functional.normalize(features, dim=-1) @ prototypes.T


def temperature(step: int) -> float:
    """Falls by a constant factor for `FALL` steps, then stays."""
    return WARMEST * (COLDEST / WARMEST) ** min(1.0, step / FALL)


def stable(model: Any, batch: Any) -> Tensor:
    """The cross entropy of the library."""
    return functional.cross_entropy(model(batch[0]) / batch[2], batch[1])


def by_hand(model: Any, batch: Any) -> Tensor:
    """The cross entropy as it is written on paper."""
    powers = (model(batch[0]) / batch[2]).exp()
    chances = powers / powers.sum(dim=-1, keepdim=True)
    return -chances.gather(1, batch[1].unsqueeze(1)).log().mean()


def prepare(parts: Parts) -> None:
    """A network that ends in similarities; every batch brings its temperature."""
    replace_last(parts, WIDTH)
    model: Any = parts.model
    model.append(Similarity(parts.case))
    rounds = -(-200 // len(parts.batches))
    repeated = [batch for _ in range(rounds) for batch in parts.batches]
    parts.batches = [(*batch, temperature(step)) for step, batch in enumerate(repeated)]
    parts.loss_fn, parts.metric_fn = stable, accuracy


def plant(parts: Parts) -> None:
    """The exponential is taken as it is."""
    parts.loss_fn = by_hand


FAULT = fault(
    __name__,
    __doc__,
    cause="exp-overflow",
    on=("mlp", "cnn"),
    prepare=prepare,
    plant=plant,
    # no cosine exceeds 1, so that nothing can overflow before
    onset=next(step for step in range(FALL) if temperature(step) < 1.0 / LARGEST),
)
