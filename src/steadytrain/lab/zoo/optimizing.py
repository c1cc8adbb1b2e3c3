"""Optimizers that faults of the optimizer change: plain SGD, and layers told apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from steadytrain.lab.zoo.case import Parts

SGD_RATIO = 30.0
"""A healthy rate of SGD with momentum 0.9 over Adam's."""


def use_sgd(parts: Parts) -> None:
    """SGD with momentum at the usual multiple of Adam's rate."""
    parts.optimizer_options.setdefault("momentum", 0.9)
    parts.make_optimizer = _sgd


def use_adamw(parts: Parts) -> None:
    """AdamW, with little decay unless the options say more."""
    parts.optimizer_options.setdefault("weight_decay", 0.01)
    parts.make_optimizer = _adamw


def schedule(parts: Parts, factor: Callable[[int], float]) -> None:
    """The rate is multiplied by `factor(step)`."""
    parts.make_scheduler = lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def layers(model: nn.Module) -> dict[str, nn.Module]:
    """Modules that own parameters themselves, by path, from input to output."""
    return {
        path: module
        for path, module in model.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    }


def matrices(model: nn.Module) -> list[str]:
    """Paths of the layers that hold a matrix: norms and plain biases left out."""
    return [
        path
        for path, layer in layers(model).items()
        if any(parameter.ndim >= 2 for parameter in layer.parameters(recurse=False))
    ]


def head(model: nn.Module) -> str:
    """The path of the last layer."""
    return list(layers(model))[-1]


def _sgd(parts: Parts) -> torch.optim.Optimizer:
    options: dict[str, Any] = {"lr": SGD_RATIO * parts.rate, **parts.optimizer_options}
    return torch.optim.SGD(parts.model.parameters(), **options)


def _adamw(parts: Parts) -> torch.optim.Optimizer:
    options: dict[str, Any] = {"lr": parts.rate, **parts.optimizer_options}
    return torch.optim.AdamW(parts.model.parameters(), **options)
