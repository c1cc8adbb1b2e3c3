"""Batch norm that is fixed to the running statistics of another network's data.

## What is wrong
The means and variances were collected from inputs of a fiftieth of the size or less: the first norm
multiplies its signal by what is missing, and no later one takes it back.

## Remedy
Let the norms see the new data in training mode before they are fixed, or do not fix them.

## Source
FrozenBatchNorm of detection networks; fine-tuning with `bn.eval()` on another distribution.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import drawn_from, paths_of, swap


class FixedBatchNorm(nn.BatchNorm2d):
    """Batch norm that reads its running statistics in training too."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - as PyTorch calls it
        mean, var, eps = self.running_mean, self.running_var, self.eps
        return functional.batch_norm(input, mean, var, self.weight, self.bias, eps=eps)


def plant(parts: Parts) -> None:
    """The norms are fixed after a look at noise that is fifty to a hundred times too faint."""
    size = parts.case.pick("size", (0.01, 0.02))
    with drawn_from(parts.case, "noise"), torch.no_grad():
        for _ in range(100):
            parts.model(size * torch.randn_like(parts.batches[0][0]))

    def fixed(module: nn.Module) -> nn.Module:
        norm = FixedBatchNorm(cast("nn.BatchNorm2d", module).num_features)
        norm.load_state_dict(module.state_dict())
        return norm

    swap(parts.model, nn.BatchNorm2d, fixed)


def sites(parts: Parts) -> tuple[str, ...]:
    """The batch norms."""
    return paths_of(parts.model, nn.BatchNorm2d)


FAULT = fault(
    __name__,
    __doc__,
    cause="batchnorm-running-stats",
    on=("cnn", "resnet"),
    plant=plant,
    sites=sites,
)
