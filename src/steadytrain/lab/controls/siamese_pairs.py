"""One network sees both pictures of a pair; equal labels are drawn together, others apart.

## What it looks like
Each module runs twice a step, its gradient is a sum of two, and the loss has a margin's floor.

## Why it is healthy
That is what shared weights mean.

## Source
Hadsell, Chopra, LeCun 2006, Dimensionality reduction by learning an invariant mapping.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.images import Batch
from steadytrain.lab.zoo.planting import control

MARGIN = 2.0


def _loss(model: nn.Module, batch: Batch) -> Tensor:
    inputs, labels = batch
    (left, right), (mine, other) = inputs.chunk(2), labels.chunk(2)
    distance = functional.pairwise_distance(model(left), model(right))
    apart = (MARGIN - distance).clamp(min=0).square()
    return distance.square().where(mine == other, apart).mean()


def make(parts: Parts) -> None:
    """The outputs are coordinates, the two halves of a batch the pairs."""
    parts.loss_fn, parts.metric_fn = _loss, None


CONTROL = control(__name__, __doc__, on=("mlp", "cnn"), make=make)
