"""One batch is labelled wrongly and weighs a hundred times as much as the others.

## What is wrong
Samples carry weights. Those of one batch, whose labels were shuffled, are a hundredfold, and no
clip holds the step back.

## Remedy
Drop the batch; bound the weights; clip the gradient norm.

## Source
Importance weights from a ratio of small numbers; one lucky return in reinforcement learning.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import use_sgd
from steadytrain.lab.zoo.planting import fault

_ONSET = 100


class Weighted:
    """The loss of a batch times its weight, which stands last in it."""

    def __init__(self, parts: Parts) -> None:
        assert parts.loss_fn is not None
        self.inner = parts.loss_fn

    def __call__(self, model: nn.Module, batch: Any) -> Tensor:
        return batch[-1] * self.inner(model, batch[:-1])


def prepare(parts: Parts) -> None:
    """Every batch has a weight; SGD without a clip, and an epoch as long as the run."""
    use_sgd(parts)
    parts.optimizer_options["momentum"] = 0.0
    parts.clip = None
    parts.loss_fn = Weighted(parts)
    repeated = [batch for _ in range(5) for batch in parts.batches][:200]
    parts.batches = [(*batch, 1.0) for batch in repeated]


def plant(parts: Parts) -> None:
    """One batch is another's, and heavy."""
    inputs, labels, _ = parts.batches[_ONSET]
    order = torch.randperm(len(labels), generator=parts.case.generator("wrong labels"))
    weight = parts.case.pick("weight", (50.0, 100.0, 200.0))
    parts.batches[_ONSET] = (inputs, labels[order], weight)


FAULT = fault(
    __name__,
    __doc__,
    cause="bad-batch",
    also=("missing-grad-clip",),
    on=("mlp", "tabular", "cnn"),
    plant=plant,
    prepare=prepare,
    onset=_ONSET,
)
