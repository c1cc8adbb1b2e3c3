"""A network of a hundred thousand weights is trained on 64 samples.

## What is wrong
The samples are learned by heart within a few epochs; from then on the training loss falls and the
validation does not. Nothing is unstable: this must be told apart from what is.

## Remedy
More data, augmentation, weight decay, dropout, a smaller network, or an earlier stop.

## Source
The textbook's first figure on generalisation.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault

_SAMPLES, _BATCH = 64, 16


def plant(parts: Parts) -> None:
    """The first samples only, in small batches, again and again."""
    columns = (torch.cat(column)[:_SAMPLES] for column in zip(*parts.batches, strict=True))
    parts.batches = list(zip(*(column.split(_BATCH) for column in columns), strict=True))


FAULT = fault(
    __name__,
    __doc__,
    cause="overfitting",
    also=("duplicate-batches",),
    on=("mlp", "cnn", "tabular", "vit"),
    plant=plant,
    seen=("preflight",),
)
