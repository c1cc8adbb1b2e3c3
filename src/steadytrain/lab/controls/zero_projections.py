"""The last layer of every residual branch begins at zero.

## What it looks like
On the first step all weights before it have a gradient of exactly zero.

## Why it is healthy
The branches begin as nothing and open from the second step on.

## Source
Goyal et al. 2017 (zero gamma); Zhang et al. 2019 (Fixup).
"""

from __future__ import annotations

from typing import Any

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control


def make(parts: Parts) -> None:
    """Output projections, or the second norm of a ResNet's block, are zero."""
    model: Any = parts.model
    if parts.case.architecture == "resnet":
        for block in model:
            if type(block).__name__ == "BasicBlock":
                nn.init.zeros_(block.norm2.weight)
        return
    for block in model.blocks:
        inner: Any = block.inner
        last: Any = inner[-1] if isinstance(inner, nn.Sequential) else inner.out
        nn.init.zeros_(last.weight)


CONTROL = control(__name__, __doc__, on=("gpt", "vit", "resnet"), make=make)
