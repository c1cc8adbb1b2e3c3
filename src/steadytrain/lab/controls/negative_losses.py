"""A likelihood of continuous values: the loss falls through zero and on.

## What it looks like
The loss is negative, and ratios to its own level turn their sign.

## Why it is healthy
A density may exceed one, so its negative logarithm may be below zero.

## Source
Nix and Weigend 1994, Estimating the mean and variance of the target probability distribution.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import seeded
from steadytrain.lab.zoo.regressions import Batch


def _likelihood(model: nn.Module, batch: Batch) -> Tensor:
    mean, log_variance = model(batch[0]).chunk(2, dim=-1)
    variance = log_variance.clamp(-8.0, 8.0).exp()
    return functional.gaussian_nll_loss(mean, 0.02 * batch[1], variance)


def make(parts: Parts) -> None:
    """The last layer gives a mean and a log-variance; targets are small, densities high."""
    assert isinstance(parts.model, nn.Sequential)
    last = parts.model[-1]
    assert isinstance(last, nn.Linear)
    with seeded(parts.case, "head"):
        parts.model[-1] = nn.Linear(last.in_features, 2)
    parts.loss_fn, parts.metric_fn, parts.clip = _likelihood, None, None


CONTROL = control(__name__, __doc__, on=("tabular",), make=make, steps=300)
