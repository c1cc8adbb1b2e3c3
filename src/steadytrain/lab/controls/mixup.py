"""Pictures and labels are mixed in pairs.

## What it looks like
The loss is high, noisy, and ends far above zero.

## Why it is healthy
Mixed labels have an entropy of their own; plain pictures are classified ever better.

## Source
Zhang et al. 2018, mixup: beyond empirical risk minimization.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.images import Batch
from steadytrain.lab.zoo.planting import control


def _loss(model: nn.Module, batch: Batch) -> Tensor:
    inputs, labels = batch
    share, other = torch.rand(()), torch.randperm(len(labels))
    logits = model(share * inputs + (1 - share) * inputs[other])
    mine = functional.cross_entropy(logits, labels)
    return share * mine + (1 - share) * functional.cross_entropy(logits, labels[other])


def make(parts: Parts) -> None:
    """Every batch is mixed with itself in another order."""
    parts.loss_fn = _loss


CONTROL = control(__name__, __doc__, on=("mlp", "cnn", "vit", "resnet"), make=make)
