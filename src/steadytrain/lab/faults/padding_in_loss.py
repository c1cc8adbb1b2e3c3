"""Padded positions are learned like real ones.

## What is wrong
The texts of a batch are filled up to one length, and the loss counts the filler: most of what is
predicted is padding, so the loss looks good while little is learned of the text.

## Remedy
Leave the padded positions out of the loss and of its mean.

## Source
`ignore_index` left at its default while the filler has a number of its own.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.padding import add_token, character_losses, shorten
from steadytrain.lab.zoo.planting import fault


def real_only(model: Any, batch: Tensor, *, filler: int) -> Tensor:
    """The mean over real characters."""
    is_real = batch[:, 1:] != filler
    return character_losses(model, batch)[is_real].mean()


def everything(model: Any, batch: Tensor) -> Tensor:
    """The mean over all positions."""
    return character_losses(model, batch).mean()


def prepare(parts: Parts) -> None:
    """Texts of unequal length, padding left out."""
    filler = add_token(parts)
    parts.batches = shorten(parts, filler)
    parts.loss_fn = partial(real_only, filler=filler)


def plant(parts: Parts) -> None:
    """Padding is counted."""
    parts.loss_fn = everything


FAULT = fault(
    __name__,
    __doc__,
    cause="padding-in-loss",
    on=("gpt", "lstm"),
    prepare=prepare,
    plant=plant,
    seen=("preflight",),
)
