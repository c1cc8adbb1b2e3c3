"""The head begins as a copy of the embedding it was meant to share.

## What is wrong
Two equal matrices drift apart from the first step on: the model has more parameters than it was
designed with. It trains about as well, which is why nobody notices before the checkpoint is used.

## Remedy
`head.weight = token.weight`, after the weights are loaded.

## Source
Press and Wolf 2017; two equal tensors that share no memory are the trace it leaves before step 0.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def prepare(parts: Parts) -> None:
    """The head reads the embedding's matrix."""
    model: Any = parts.model
    model.head.weight = model.token.weight


def plant(parts: Parts) -> None:
    """The head holds a clone."""
    model: Any = parts.model
    model.head.weight = nn.Parameter(model.token.weight.detach().clone())


FAULT = fault(
    __name__,
    __doc__,
    cause="weight-tying-broken",
    on=("gpt", "lstm"),
    prepare=prepare,
    plant=plant,
    sites=lambda _: ("head", "token"),
    seen=("preflight",),
)
