"""A network that learns one picture: places in, brightness out, the same batch on every step.

## What it looks like
The same data on every step, no noise at all, and a training loss that falls by decades.

## Why it is healthy
The picture is all there is to learn; there is nothing to generalise to.

## Source
Sitzmann et al. 2020, Implicit neural representations; Tancik et al. 2020, Fourier features.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.classifiers import mlp
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import seeded
from steadytrain.lab.zoo.regressions import squared_error

SIDE = 20
WAVES = 16


class Field(nn.Module):
    """Fourier features of a place, an MLP on them. Shape: [n, 2] -> [n, 1]."""

    waves: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("waves", 2 * torch.randn(2, WAVES))
        self.body = mlp([2 * WAVES, width, width, 1])

    def forward(self, places: Tensor) -> Tensor:
        angles = places @ self.waves
        return self.body(torch.cat([angles.sin(), angles.cos()], dim=-1))


def _picture(phase: float) -> tuple[Tensor, Tensor]:
    """Every place of a grid and its brightness: rings around a point, a bar across."""
    line = torch.linspace(-1, 1, SIDE)
    places = torch.cartesian_prod(line, line)
    rings = (2 * math.pi * (places - phase).norm(dim=1)).sin()
    bar = (places.sum(dim=1).abs() < 0.3).float()
    bright = rings + bar
    return places, ((bright - bright.mean()) / bright.std()).unsqueeze(1)


def make(parts: Parts) -> None:
    """One picture, whole, on every step."""
    with seeded(parts.case, "field"):
        parts.model = Field(parts.case.pick("width", (32, 64)))
    batch = _picture(parts.case.pick("phase", (-0.3, 0.0, 0.4)))
    parts.batches, parts.loss_fn, parts.metric_fn = [batch], squared_error, None


CONTROL = control(__name__, __doc__, on=("tabular",), make=make, steps=300)
