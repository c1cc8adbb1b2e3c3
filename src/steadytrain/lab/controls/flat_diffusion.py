"""A denoiser of points at random noise levels: the loss drops a little, then lies flat.

## What it looks like
After the first steps the loss hardly falls, and its noise is larger than its slope.

## Why it is healthy
Most of the error is noise that nobody can predict; samples still get better.

## Source
Ho, Jain, Abbeel 2020, Denoising diffusion probabilistic models.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.classifiers import mlp
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import seeded


def _loss(model: Any, batch: Any) -> Tensor:
    clean = batch if isinstance(batch, Tensor) else batch[0].flatten(1)
    noise, level = torch.randn_like(clean), torch.rand(len(clean), 1)
    mixed = (1 - level).sqrt() * clean + level.sqrt() * noise
    return functional.mse_loss(model(torch.cat([mixed, level], dim=1)), noise)


def make(parts: Parts) -> None:
    """An MLP predicts the noise in points of the ring, or in pictures."""
    first: Any = parts.batches[0]
    size = first.shape[1] if isinstance(first, Tensor) else first[0][0].numel()
    width = parts.case.pick("width", (48, 64))
    with seeded(parts.case, "denoiser"):
        parts.model = mlp([size + 1, width, width, size])
    parts.make_optimizer, parts.step_fn, parts.extra = None, None, {}
    parts.loss_fn, parts.metric_fn = _loss, None


CONTROL = control(__name__, __doc__, on=("gan", "vae"), make=make, steps=300)
