"""Every weight matrix is drawn from N(0, 1), whatever its size.

## What is wrong
Each layer multiplies its input by the square root of its width, so that the first outputs are
tens to thousands and the first steps only undo that.

## Remedy
Scale the weights by the layer's fan-in (He, Xavier), or N(0, 0.02) in a transformer.

## Source
Glorot and Bengio 2010; Radford et al. 2019 for the transformer's 0.02.
"""

from __future__ import annotations

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import drawn_from


def plant(parts: Parts) -> None:
    """Linear layers, convolutions and embeddings of unit variance."""
    with drawn_from(parts.case, "large weights"):
        for module in parts.model.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.Embedding):
                nn.init.normal_(module.weight)


FAULT = fault(
    __name__,
    __doc__,
    cause="init-too-large",
    on=("mlp", "gpt", "tabular"),
    plant=plant,
)
