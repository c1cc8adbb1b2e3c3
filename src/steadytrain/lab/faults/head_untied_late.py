"""A tied output layer is given weights of its own after the optimizer was built.

## What is wrong
A loaded checkpoint or a conversion replaces the head's weight by a copy. The optimizer holds the
shared one: the copy stays as it is for ever, and the embedding no longer hears from the head.

## Remedy
Tie again after loading or converting, and build the optimizer last.

## Source
Press and Wolf 2017 on tying; `tie_weights()` after `resize_token_embeddings` in people's code.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def prepare(parts: Parts) -> None:
    """The head reads the embedding's matrix."""
    model: Any = parts.model
    model.head.weight = model.token.weight


def _optimizer(parts: Parts) -> torch.optim.Optimizer:
    model: Any = parts.model
    optimizer = parts.optimizer()
    model.head.weight = nn.Parameter(model.token.weight.detach().clone())
    return optimizer


def plant(parts: Parts) -> None:
    """The head's weight is cloned once the optimizer has been built."""
    parts.make_optimizer = _optimizer


FAULT = fault(
    __name__,
    __doc__,
    cause="weight-tying-broken",
    also=("params-not-in-optimizer", "stale-optimizer-params"),
    on=("gpt", "lstm"),
    prepare=prepare,
    plant=plant,
    sites=lambda _: ("head", "token"),
)
