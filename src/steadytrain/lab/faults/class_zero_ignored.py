"""The first class is taken for padding and never learned.

## What is wrong
The loss ignores the index 0, as it would for padded tokens, but here it is a class.

## Remedy
Leave `ignore_index` alone, or give padding an index that is no class.

## Source
Losses copied from a language model into a classifier.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.images import Batch
from steadytrain.lab.zoo.planting import fault


def _without_the_first(model: nn.Module, batch: Batch) -> Tensor:
    inputs, labels = batch
    return functional.cross_entropy(model(inputs), labels, ignore_index=0)


def plant(parts: Parts) -> None:
    """Class 0 is passed over."""
    parts.loss_fn = _without_the_first


FAULT = fault(
    __name__,
    __doc__,
    cause="label-encoding",
    also=("padding-in-loss", "class-imbalance"),
    on=("mlp", "cnn", "vit"),
    plant=plant,
    seen=("preflight", "lint"),
)
