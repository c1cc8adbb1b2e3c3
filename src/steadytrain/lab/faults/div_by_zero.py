"""A mean over nothing: the count or the deviation that is divided by reaches zero.

## What is wrong
A text of the batch has no valid token, or a feature is constant over the batch: zero is divided by
zero, and the NaN spreads over the whole step.

## Remedy
A floor under the divisor: `count.clamp(min=1)`, `deviation + 1e-5`.

## Source
Masked means of sequence losses; standardisation by hand.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.padding import add_token, character_losses, shorten
from steadytrain.lab.zoo.planting import fault

EMPTY_AT: Final = 25
"""The batch with an empty text, or with a constant feature."""


class Standardise(nn.Module):
    """Features at zero mean and unit deviation over the batch. Shape: [n, features]."""

    def __init__(self, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(dim=0)
        return centred / (centred.square().mean(dim=0).sqrt() + self.epsilon)


def mean_of_means(model: Any, batch: Tensor, *, filler: int, least: float) -> Tensor:
    """The mean over texts of the mean over a text's characters."""
    is_real = (batch[:, 1:] != filler).float()
    sums = (character_losses(model, batch) * is_real).sum(dim=1)
    return (sums / is_real.sum(dim=1).clamp(min=least)).mean()


def prepare(parts: Parts) -> None:
    """The hard batch is there, and the divisor has a floor."""
    batches = parts.batches
    if parts.case.architecture == "tabular":
        features, targets = batches[EMPTY_AT]
        features = features.clone()
        features[:, parts.case.pick("feature", range(features.shape[1]))] = 0.5
        batches[EMPTY_AT] = (features, targets)
        parts.model = nn.Sequential(Standardise(1e-5), parts.model)
        return
    filler = add_token(parts)
    parts.batches = batches = shorten(parts, filler)
    row = parts.case.pick("row", range(len(batches[EMPTY_AT])))
    batches[EMPTY_AT][row] = filler
    parts.extra["filler"] = filler
    parts.loss_fn = partial(mean_of_means, filler=filler, least=1.0)


def plant(parts: Parts) -> None:
    """The divisor has none."""
    if parts.case.architecture == "tabular":
        model: Any = parts.model
        model[0] = Standardise(0.0)
    else:
        parts.loss_fn = partial(mean_of_means, filler=parts.extra["filler"], least=0.0)


def sites(parts: Parts) -> tuple[str, ...]:
    """The layer that divides, where it is in the network; else where the gradient enters."""
    return ("0",) if parts.case.architecture == "tabular" else ("head",)


FAULT = fault(
    __name__,
    __doc__,
    cause="div-by-zero",
    on=("tabular", "lstm", "gpt"),
    prepare=prepare,
    plant=plant,
    sites=sites,
    onset=EMPTY_AT,
)
