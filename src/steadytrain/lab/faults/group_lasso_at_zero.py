"""A penalty on the length of weight rows, one of which begins at exactly zero.

## What is wrong
The length is written as the root of a sum of squares: its derivative at the zero row is NaN on the
first step, while the loss is finite.

## Remedy
An epsilon under the root, or `torch.linalg.vector_norm`, whose derivative at zero is zero.

## Source
Group lasso (Yuan and Lin 2006) on pruned or zero-initialised rows.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import torch
from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault

WEIGHT: Final = 1e-4


def _chosen(model: nn.Module, case: Any) -> str:
    """The path of one of the linear layers, by the seed."""
    paths = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return case.pick("layer", paths)


def with_penalty(model: Any, batch: Any, *, main: Any, path: str, epsilon: float) -> Tensor:
    """The main loss, and the summed length of a layer's rows."""
    squares = model.get_submodule(path).weight.square().sum(dim=1)
    return main(model, batch) + WEIGHT * (squares + epsilon).sqrt().sum()


def prepare(parts: Parts) -> None:
    """A row of the layer is zero; the penalty is safe."""
    path = _chosen(parts.model, parts.case)
    weight: Any = parts.model.get_submodule(path).weight
    with torch.no_grad():
        weight[parts.case.pick("row", range(len(weight)))] = 0.0
    parts.extra["main"] = parts.loss_fn
    parts.loss_fn = partial(with_penalty, main=parts.loss_fn, path=path, epsilon=1e-8)


def plant(parts: Parts) -> None:
    """No epsilon."""
    path = _chosen(parts.model, parts.case)
    parts.loss_fn = partial(with_penalty, main=parts.extra["main"], path=path, epsilon=0.0)


FAULT = fault(
    __name__,
    __doc__,
    cause="sqrt-zero-grad",
    on=("mlp", "tabular", "vit"),
    prepare=prepare,
    plant=plant,
    sites=lambda parts: (_chosen(parts.model, parts.case),),
)
