"""The logarithm of a softmax is taken over the batch instead of the classes.

## What is wrong
`log_softmax(dim=0)` makes the samples of a batch compete for each class: a score says which
sample is most of a class, and not which class a sample is.

## Remedy
`dim=-1`.

## Source
The implicit dimension that PyTorch warns of, chosen wrongly.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.images import Batch
from steadytrain.lab.zoo.planting import fault


def _loss(model: nn.Module, batch: Batch) -> Tensor:
    inputs, labels = batch
    return functional.nll_loss(model(inputs).log_softmax(dim=0), labels)


def plant(parts: Parts) -> None:
    """The classification loss over the wrong dimension."""
    parts.loss_fn = _loss


FAULT = fault(
    __name__,
    __doc__,
    cause="wrong-axis",
    also=("loss-input-mismatch",),
    on=("mlp", "cnn", "vit"),
    plant=plant,
    seen=("training", "preflight"),
)
