"""A second encoder in the model follows the first as its moving average, and is never trained.

## What it looks like
Half of the model has no gradient, is in no optimizer, and changes all the same.

## Why it is healthy
It names the keys among which the first must find its own picture; because it moves slowly, they
stay comparable from step to step.

## Source
He et al. 2020, Momentum contrast for unsupervised visual representation learning.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.images import Batch
from steadytrain.lab.zoo.own_loops import right_step
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import frozen_copy

NOISE = 1.0
TEMPERATURE = 0.5
DECAY = 0.97


class Contrast(nn.Module):
    """An encoder of queries, and its moving average, which encodes the keys."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.keys = encoder, frozen_copy(encoder)


def _loss(model: Any, batch: Batch) -> Tensor:
    one, other = (batch[0] + NOISE * torch.randn_like(batch[0]) for _ in range(2))
    queries = functional.normalize(model.encoder(one), dim=1)
    keys = functional.normalize(model.keys(other), dim=1)
    return functional.cross_entropy(queries @ keys.T / TEMPERATURE, torch.arange(len(keys)))


def _step(program: Program, batch: Any) -> Tensor:
    loss = right_step(program, batch)
    model: Any = program.model
    with torch.no_grad():
        pairs = zip(model.keys.parameters(), model.encoder.parameters(), strict=True)
        for behind, one in pairs:
            behind.lerp_(one, 1 - DECAY)
    return loss


def make(parts: Parts) -> None:
    """The classifier is the encoder; a noisy picture must find its other noisy view."""
    model = parts.model = Contrast(parts.model)
    parts.make_optimizer = lambda own: own.optimizer(model.encoder.parameters())
    parts.loss_fn, parts.metric_fn, parts.step_fn = _loss, None, _step
    parts.rate /= 3


CONTROL = control(__name__, __doc__, on=("mlp", "vit"), make=make, steps=300)
