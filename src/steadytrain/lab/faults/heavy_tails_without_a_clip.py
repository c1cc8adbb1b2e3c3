"""Targets with heavy tails, and no clip for the gradients of their outliers.

## What is wrong
A target far out, of which the data has some by nature, gives a gradient hundreds of times the
usual one; one such step carries the weights away from all that was learned.

## Remedy
Clip the gradient norm near its median.

## Source
Zhang et al. 2020: under heavy-tailed noise SGD without a clip does not converge.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import use_sgd
from steadytrain.lab.zoo.planting import fault


def prepare(parts: Parts) -> None:
    """Noise whose variance is infinite is added to the targets; the rate is brisk, the norm clipped."""
    use_sgd(parts)
    parts.rate *= 3
    size, power = parts.case.pick("tails", ((0.3, 0.5), (0.2, 0.7)))
    generator = parts.case.generator("tails")
    for place, (features, target) in enumerate(parts.batches):
        uniform = torch.rand(target.shape, generator=generator)
        tails = size * (uniform.clamp_min(1e-6).pow(-power) - 1.0)
        sign = torch.randint(2, target.shape, generator=generator) * 2 - 1
        parts.batches[place] = (features, target + sign * tails)


def plant(parts: Parts) -> None:
    """No clip."""
    parts.clip = None


FAULT = fault(
    __name__,
    __doc__,
    cause="missing-grad-clip",
    on=("tabular",),
    plant=plant,
    prepare=prepare,
)
