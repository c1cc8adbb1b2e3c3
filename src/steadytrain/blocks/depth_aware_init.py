"""Weights that write to the stream are the smaller, the deeper their layer.

Where all are divided by the root of the whole depth, the first layers write as little as the
last. Dividing each by the root of the additions so far lets every layer add the same share to
what is there: the stream grows with the logarithm of the depth.

## Formula
    embedding, linear, packed query/key/value:  truncated N(0, std^2) within 3 std, std = 0.02
    output of the k-th addition to the stream:  the same with std / sqrt(k)
    head (unless tied to the embedding):        the same with std = 1 / sqrt(d)
    bias: 0; norm: scale 1, shift 0; padding rows: 0

For blocks of attention and feed-forward, k is 2(l + 1) - 1 and 2(l + 1) in block l from 0.
Truncation at 3 deviations leaves 0.987 of the deviation.

## Shape
Any model; without residual blocks every weight but the head gets the same deviation.

## Dtype
Any floating dtype; drawn in the parameter's own.

## Cost
One pass over the parameters, once.

## Source
Zhang et al. 2019 (depth-scaled initialisation, 1/sqrt(l)); Groeneveld et al. 2024 and OLMo et al.
2024 for 1/sqrt(2(l + 1)) per block, the truncation and the head, which this counts per addition.

## Helps against
`init-too-large`, `residual-growth`, `exploding-gradient`
"""

from __future__ import annotations

import math

import torch
from torch import nn

from steadytrain.blocks._bounds import positive
from steadytrain.blocks._changes import Change, Scheme
from steadytrain.blocks._filling import Draw, fill, normal
from steadytrain.blocks._roles import Part, anatomy_of
from steadytrain.blocks._sample_networks import small_transformer
from steadytrain.core.technique import Sample, technique


def init_depth_aware(
    model: nn.Module, *, std: float = 0.02, generator: torch.Generator | None = None
) -> list[Change]:
    """Weights are truncated N(0, std); the k-th that writes to a stream is divided by sqrt(k).

    Args:
        model: changed in place; frozen and reparametrised weights are left alone.
        std: of every weight that neither writes to the stream nor is the head.
        generator: the source of random numbers; torch's own if None.

    Returns:
        What was done, one line per weight.

    Raises:
        UsageError: `std` is not above 0, or a parameter is lazy or on the meta device.

    Shape:
        A packed query/key/value weight [3d, d] counts as one weight.

    Example:
        >>> layer = torch.nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
        >>> model = torch.nn.TransformerEncoder(layer, 8, enable_nested_tensor=False)
        >>> last = [one for one in init_depth_aware(model) if "7.linear2" in one.path]
        >>> print(last[0].what)
        truncated normal, std 0.005
    """
    positive("std", std)

    def draw(part: Part) -> Draw:
        if part.role == "output":
            why = f"writes to the stream, addition {part.additions}"
            return normal(std / math.sqrt(part.additions), why, truncated=True)
        if part.role == "head":
            return normal(1 / math.sqrt(part.weight.fan_in), "head", truncated=True)
        return normal(std, part.role, truncated=True)

    return fill(anatomy_of(model), model, draw, generator)


SCHEMES: dict[str, Scheme] = {"depth-aware": init_depth_aware}


def _sample() -> nn.Module:
    model = small_transformer()
    init_depth_aware(model)
    return model


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("init_depth_aware",),
    samples=(Sample(build=_sample, inputs=lambda: (torch.randn(2, 5, 16),)),),
)
