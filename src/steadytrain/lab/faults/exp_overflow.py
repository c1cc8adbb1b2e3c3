"""A softmax by hand takes the exponential of scores without subtracting the largest first.

## What is wrong
The network corrects the scores of an earlier model, which are fixed up to a constant per sample.
Where the constant is above 88.7 the exponential exceeds float32: infinity over infinity is NaN.

## Remedy
`logsumexp` or the library's cross entropy, which do not feel the constant.

## Source
The first lesson of every numerical course on softmax, still written by hand in new losses.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault

HIGH_AT: Final = 25
"""The batch that holds a sample with high scores throughout."""


def stable(model: Any, batch: Any) -> Tensor:
    """The cross entropy of the library."""
    return functional.cross_entropy(model(batch[0]) + batch[2], batch[1])


def by_hand(model: Any, batch: Any) -> Tensor:
    """The cross entropy as it is written on paper."""
    powers = (model(batch[0]) + batch[2]).exp()
    chances = powers / powers.sum(dim=-1, keepdim=True)
    return -chances.gather(1, batch[1].unsqueeze(1)).log().mean()


def prepare(parts: Parts) -> None:
    """Every sample brings the constant of its earlier scores, one of them a high one."""
    case, generator = parts.case, parts.case.generator("scores")
    scores = [2.0 * torch.randn(len(batch[1]), 1, generator=generator) for batch in parts.batches]
    scores[HIGH_AT][case.pick("sample", range(32))] = case.pick("score", (110.0, 150.0, 400.0))
    parts.batches = [(*batch, score) for batch, score in zip(parts.batches, scores, strict=True)]
    parts.loss_fn = stable


def plant(parts: Parts) -> None:
    """The exponential is taken as it is."""
    parts.loss_fn = by_hand


def sites(parts: Parts) -> tuple[str, ...]:
    """The loss is outside the network: its gradient enters at the last layer."""
    paths = [name for name, _ in parts.model.named_modules()]
    return (paths[-1],)


FAULT = fault(
    __name__,
    __doc__,
    cause="exp-overflow",
    on=("mlp", "vit", "cnn"),
    prepare=prepare,
    plant=plant,
    sites=sites,
    onset=HIGH_AT,
)
