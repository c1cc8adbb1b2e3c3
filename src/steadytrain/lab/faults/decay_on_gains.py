"""A strong weight decay takes the norms' gains with it.

## What is wrong
The matrices in front of a norm bear the decay, because their length does not matter; the gains
and biases of the norms and the head do not: they shrink, and the signal with them.

## Remedy
Two parameter groups: decay for matrices inside the network, none for gains, biases and the head.

## Source
The groups of GPT-2's and of ResNet's recipes (Goyal et al. 2017).
"""

from __future__ import annotations

import torch
from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import head, layers
from steadytrain.lab.zoo.planting import fault


def _everything(parts: Parts) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parts.model.parameters(), lr=parts.rate, weight_decay=_decay(parts))


def _matrices_only(parts: Parts) -> torch.optim.Optimizer:
    spared = {path for path, _ in _spared(parts)}
    decayed = [p for path, p in parts.model.named_parameters() if path not in spared]
    others = [p for path, p in parts.model.named_parameters() if path in spared]
    groups = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=parts.rate, weight_decay=_decay(parts))


def _decay(parts: Parts) -> float:
    return parts.case.pick("share", (0.02, 0.03, 0.05)) / parts.rate


def _spared(parts: Parts) -> list[tuple[str, nn.Parameter]]:
    last = head(parts.model)
    return [
        (path, parameter)
        for path, parameter in parts.model.named_parameters()
        if parameter.ndim < 2 or path.startswith(f"{last}.")
    ]


def prepare(parts: Parts) -> None:
    """The decay is for the convolutions alone, each of which a norm follows."""
    parts.make_optimizer = _matrices_only


def plant(parts: Parts) -> None:
    """One group for everything."""
    parts.make_optimizer = _everything


def places(parts: Parts) -> tuple[str, ...]:
    """Gains, biases, and the head."""
    norms = [
        path
        for path, module in layers(parts.model).items()
        if isinstance(module, nn.BatchNorm2d | nn.LayerNorm)
    ]
    return (*norms, *(path for path, _ in _spared(parts)))


FAULT = fault(
    __name__,
    __doc__,
    cause="weight-decay-misapplied",
    also=("weight-decay-too-high",),
    on=("cnn", "resnet"),
    plant=plant,
    prepare=prepare,
    sites=places,
    is_sudden=False,
)
