"""Targets far from zero: the first gradients are many times the later ones.

## What it looks like
The first losses and gradient norms stand at dozens of times of what follows.

## Why it is healthy
The output's bias has to travel to the targets' mean; once there, everything is ordinary.

## Source
Karpathy 2019, A recipe for training neural networks: "init well".
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control


def _bound(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    pictures = batch[0].flatten(1)
    drawn, mean, log_variance = model(pictures)
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(-1).mean()
    return functional.mse_loss(drawn, pictures + 4.0) + 0.1 * divergence / pictures.shape[1]


def make(parts: Parts) -> None:
    """Targets have a mean of four deviations."""
    if parts.case.architecture == "tabular":
        parts.batches = [(features, target + 4.0) for features, target in parts.batches]
        parts.validation = (parts.validation[0], parts.validation[1] + 4.0)
    else:
        parts.loss_fn, parts.metric_fn = _bound, None
    parts.clip = None


CONTROL = control(__name__, __doc__, on=("tabular", "vae"), make=make, steps=300)
