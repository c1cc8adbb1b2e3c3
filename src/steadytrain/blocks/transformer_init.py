"""Weights of one small deviation, and smaller still where they write to the residual stream.

Each residual addition brings its own variance: with weights of one size, the stream's grows with
the number of layers. Dividing the weights that write to it by the root of that number makes the
sum the same at any depth. Two details often go wrong: a normal draw over a whole embedding gives
the padding row a meaning, and a tied embedding is drawn twice.

## Formula
    embedding, linear, packed query/key/value:  N(0, std^2), std = 0.02
    output of each residual branch:             N(0, (std / sqrt(n))^2)
    bias: 0; norm: scale 1, shift 0; padding rows: 0

n is the number of additions along the stream: 2L for L blocks of attention and feed-forward, 3L
for decoder blocks that also attend to an encoder.

## Shape
Any model. Residual blocks are found by their code and their widths; without any, every weight
gets the same deviation.

## Dtype
Any floating or complex dtype; drawn in the parameter's own.

## Cost
One pass over the parameters, once.

## Source
Radford et al. 2019 (GPT-2), section 2.3: 1/sqrt(N) for N residual layers; 0.02 from Radford et
al. 2018 (GPT), section 4.1.

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


def init_transformer(
    model: nn.Module, *, std: float = 0.02, generator: torch.Generator | None = None
) -> list[Change]:
    """The model's weights are N(0, std), those that write to a residual stream std/sqrt(n).

    Args:
        model: changed in place; frozen and reparametrised weights are left alone.
        std: of every weight that does not write to the stream.
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
        >>> changes = init_transformer(model)
        >>> print(changes[0].path, changes[0].what, sep=": ")
        layers.0.self_attn.out_proj.weight: normal, std 0.005
    """
    positive("std", std)

    def draw(part: Part) -> Draw:
        if part.role != "output" or part.stack is None:
            return normal(std, part.role)
        count = part.stack.num_branches
        return normal(std / math.sqrt(count), f"writes to the stream, {count} additions")

    return fill(anatomy_of(model), model, draw, generator)


SCHEMES: dict[str, Scheme] = {"transformer": init_transformer}


def _sample() -> nn.Module:
    model = small_transformer()
    init_transformer(model)
    return model


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("init_transformer",),
    samples=(Sample(build=_sample, inputs=lambda: (torch.randn(2, 5, 16),)),),
)
