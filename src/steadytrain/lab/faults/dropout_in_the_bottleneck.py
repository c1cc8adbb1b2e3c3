"""An autoencoder drops four of five of its eight latent numbers.

## What is wrong
One or two numbers are left to draw a picture from, other ones on every step: the decoder learns
little more than the mean picture.

## Remedy
No dropout, or a tenth, where a layer is narrow.

## Source
Srivastava et al. 2014, section 7.3: the width that is left is the width times what is kept.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


class Autoencoder(nn.Module):
    """The encoder's means, dropout, the decoder. Shape: [n, pixels] -> the same."""

    def __init__(self, variational: Any, dropped: float) -> None:
        super().__init__()
        self.encoder, self.decoder = variational.encoder, variational.decoder
        self.dropout = nn.Dropout(dropped)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.decoder(self.dropout(self.encoder(pictures).chunk(2, dim=-1)[0]))


def _loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    pictures = batch[0].flatten(1)
    return functional.mse_loss(model(pictures), pictures)


def _score(model: nn.Module, batch: tuple[Tensor, Tensor]) -> float:
    was_training = model.training
    with torch.no_grad():
        loss = float(_loss(model.eval(), batch))
    model.train(was_training)
    return -loss


def prepare(parts: Parts) -> None:
    """A plain autoencoder with hardly any dropout."""
    parts.model = Autoencoder(parts.model, 0.05)
    parts.loss_fn, parts.metric_fn = _loss, _score


def plant(parts: Parts) -> None:
    """The dropout of a wide layer."""
    model: Any = parts.model
    model.dropout.p = parts.case.pick("dropped", (0.8, 0.9))


FAULT = fault(
    __name__,
    __doc__,
    cause="dropout-too-high",
    on=("vae",),
    prepare=prepare,
    plant=plant,
    sites=lambda _: ("dropout",),
)
