"""What stands behind a network's last layer: another activation, or another task."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.regressions import explained, squared_error

_MEAN_DIGIT, _DIGIT_DEVIATION = 4.5, 2.8723
"""Of the ten digits, each as often as the others."""


def finish_with(network: Any, activation: nn.Module) -> None:
    """The network's output passes `activation`; no path of the network changes."""
    if isinstance(network, nn.Sequential):
        network.append(activation)
    else:
        network.head = nn.Sequential(network.head, activation)


def finish_of(network: Any) -> str:
    """The path of what `finish_with` would add, under the network's own."""
    return str(len(network)) if isinstance(network, nn.Sequential) else "head"


def replace_last(parts: Parts, units: int) -> nn.Linear:
    """The new last layer of a Sequential, with `units` outputs; weights from the case's seed."""
    network: Any = parts.model
    old = network[-1]
    layer = nn.Linear(old.in_features, units)
    with torch.no_grad():
        shape, generator = layer.weight.shape, parts.case.generator("last layer")
        layer.weight.copy_(torch.randn(shape, generator=generator) / old.in_features**0.5)
        layer.bias.zero_()
    network[-1] = layer
    return layer


def predict_the_number(parts: Parts) -> None:
    """An image classifier becomes a regression on its label, standardised; targets are [n, 1]."""
    replace_last(parts, 1)
    parts.batches = [(inputs, _standard(labels)) for inputs, labels in parts.batches]
    parts.validation = (parts.validation[0], _standard(parts.validation[1]))
    parts.loss_fn, parts.metric_fn = squared_error, explained


def _standard(labels: torch.Tensor) -> torch.Tensor:
    return ((labels.float() - _MEAN_DIGIT) / _DIGIT_DEVIATION).unsqueeze(1)
