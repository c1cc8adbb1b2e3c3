"""Attention without its scale, on queries and keys that begin large.

## What is wrong
The logits are tens to hundreds, so that every query takes one key whole: attention has no slope,
and which key is taken was decided by the initialisation.

## Remedy
Divide by the root of the head's width; normalise queries and keys.

## Source
Vaswani et al. 2017, section 3.2.1; Zhai et al. 2023 on the collapse of attention's entropy.
"""

from __future__ import annotations

import torch
from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.layers import SelfAttention
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import drawn_from, paths_of


def plant(parts: Parts) -> None:
    """Queries and keys of several times unit size; the scale's root goes into both."""
    gain = parts.case.pick("query and key gain", (3.0, 5.0))
    with drawn_from(parts.case, "sharp"), torch.no_grad():
        for path in paths_of(parts.model, SelfAttention):
            attention = parts.model.get_submodule(path)
            assert isinstance(attention, SelfAttention)
            width = attention.qkv.in_features
            unscaled = (width // attention.heads) ** 0.25
            nn.init.normal_(attention.qkv.weight[: 2 * width], std=gain * unscaled * width**-0.5)


def sites(parts: Parts) -> tuple[str, ...]:
    """The attention layers."""
    return paths_of(parts.model, SelfAttention)


FAULT = fault(
    __name__,
    __doc__,
    cause="attention-logits-too-large",
    also=("init-too-large", "saturated-activation"),
    on=("gpt", "vit"),
    plant=plant,
    sites=sites,
)
