"""SGD takes steps longer than the curvature of the loss allows.

## What is wrong
Along the sharpest direction each step overshoots by more than it corrects, and momentum carries
that on; nothing limits the gradient.

## Remedy
Lower the rate below two over the largest curvature.

## Source
Cohen et al. 2021: gradient descent diverges past the edge of stability.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import use_sgd
from steadytrain.lab.zoo.planting import fault


def prepare(parts: Parts) -> None:
    """Plain SGD with momentum, at a healthy rate and without a clip."""
    use_sgd(parts)
    parts.rate /= 3
    parts.clip = None


def plant(parts: Parts) -> None:
    """A rate some dozens of times higher."""
    parts.rate *= parts.case.pick("factor", (30, 60, 100))


FAULT = fault(
    __name__,
    __doc__,
    cause="lr-too-high",
    also=("missing-grad-clip",),
    on=("mlp", "tabular", "vae"),
    plant=plant,
    prepare=prepare,
)
