"""Weights whose deviation shrinks with the width, and with the depth where they write.

A fixed deviation such as 0.02 suits one width. Small-init ties it to the width of the stream, as
Xavier's rule would for a matrix of d times 4d, and uses it for all; wang-init then makes the
weights that write to the stream as small as one over the number of layers.

## Formula
    small:                      every weight N(0, 2 / (5 d))
    wang: writes to the stream  N(0, (2 / (L sqrt(d)))^2), the others as above
    bias: 0; norm: scale 1, shift 0; padding rows: 0

d is the width of the stream, L the number of layers: half the additions of a stack, a third of
them where the layers also attend to an encoder.

## Shape
Any model; wang-init needs residual blocks.

## Dtype
Any floating or complex dtype; drawn in the parameter's own.

## Cost
One pass over the parameters, once.

## Source
Nguyen & Salazar 2019, section 2.2 (small-init); Wang & Komatsuzaki 2021 (GPT-J) as in GPT-NeoX,
Black et al. 2022, section 2.1.2 (both).

## Helps against
`init-too-large`, `residual-growth`, `exploding-gradient`
"""

from __future__ import annotations

import math

import torch
from torch import nn

from steadytrain.blocks._changes import Change, Scheme
from steadytrain.blocks._filling import Draw, fill, normal, structured
from steadytrain.blocks._roles import Anatomy, Part, anatomy_of
from steadytrain.blocks._sample_networks import small_transformer
from steadytrain.core.technique import Sample, technique


def init_small(model: nn.Module, *, generator: torch.Generator | None = None) -> list[Change]:
    """Every weight is N(0, 2/(5d)), d the width of the stream.

    Args:
        model: changed in place; frozen and reparametrised weights are left alone.
        generator: the source of random numbers; torch's own if None.

    Returns:
        What was done, one line per weight.

    Raises:
        UsageError: a parameter is lazy or on the meta device.

    Shape:
        A packed query/key/value weight [3d, d] counts as one weight.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Embedding(9, 40), torch.nn.Linear(40, 9))
        >>> print(init_small(model)[0].what)
        normal, std 0.1
    """
    anatomy = anatomy_of(model)
    return fill(anatomy, model, lambda part: _small(part, anatomy), generator)


def init_wang(model: nn.Module, *, generator: torch.Generator | None = None) -> list[Change]:
    """Weights that write to the stream are N(0, 2/(L sqrt d)), the others small-init's.

    Args:
        model: changed in place; frozen and reparametrised weights are left alone.
        generator: the source of random numbers; torch's own if None.

    Returns:
        What was done, one line per weight.

    Raises:
        UsageError: there is no residual block, or a parameter has no numbers yet.

    Shape:
        A packed query/key/value weight [3d, d] counts as one weight.

    Example:
        >>> layer = torch.nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
        >>> model = torch.nn.TransformerEncoder(layer, 5, enable_nested_tensor=False)
        >>> print(init_wang(model)[0].what)
        normal, std 0.05
    """
    anatomy = structured(model, "wang")

    def draw(part: Part) -> Draw:
        if part.role != "output" or part.stack is None:
            return _small(part, anatomy)
        layers = part.stack.num_layers
        std = 2 / (layers * math.sqrt(part.weight.outputs))
        return normal(std, f"writes to the stream, {layers:g} layers")

    return fill(anatomy, model, draw, generator)


def _small(part: Part, anatomy: Anatomy) -> Draw:
    return normal(math.sqrt(2 / (5 * anatomy.width)), f"{part.role}, width {anatomy.width}")


SCHEMES: dict[str, Scheme] = {"small": init_small, "wang": init_wang}


def _sample() -> nn.Module:
    model = small_transformer()
    init_wang(model)
    return model


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("init_small", "init_wang"),
    samples=(Sample(build=_sample, inputs=lambda: (torch.randn(2, 5, 16),)),),
)
