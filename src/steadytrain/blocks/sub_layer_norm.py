"""Larger beginnings for branches that normalise a second time before they write.

With a second norm inside each branch (before the output of the attention, before the second
feed-forward weight) the size of those weights no longer sets the size of the stream; it sets how
fast it changes. This gain lets branches that would be slow at depth learn at the same pace.

## Formula
    value, output, feed-forward: Xavier * gamma;  query, key, head: Xavier;  embedding N(0, 1 / d)
    one stack of L layers:  gamma = sqrt(log(2 L))
    encoder of N, with M:   gamma = sqrt(log(3 M) log(2 N) / 3)
    decoder of M, with N:   gamma = sqrt(log(3 M))
    bias: 0; norm: scale 1, shift 0

The second norms are part of the model: without them the gain makes the stream grow.

## Shape
Any model with residual blocks. In a packed weight [3d, d] the last third are the values.

## Dtype
Any floating or complex dtype; drawn in the parameter's own.

## Cost
One pass over the parameters, once; the second norm costs one pass over each branch.

## Source
Wang et al. 2022 (Magneto, Foundation Transformers), figure 2 and section 2.3.

## Helps against
`post-norm-depth`, `residual-growth`
"""

from __future__ import annotations

import math

import torch
from torch import nn

from steadytrain.blocks._changes import Change, Scheme
from steadytrain.blocks._filling import Draw, fill, normal, structured, xavier
from steadytrain.blocks._roles import Part
from steadytrain.blocks._sample_networks import small_transformer
from steadytrain.blocks._stacks import Stack, partner_of
from steadytrain.core.technique import Sample, technique


def init_subln(model: nn.Module, *, generator: torch.Generator | None = None) -> list[Change]:
    """Values, outputs and feed-forward weights are Xavier's times SubLN's gain.

    Args:
        model: changed in place; frozen and reparametrised weights are left alone. Its branches
            must normalise a second time.
        generator: the source of random numbers; torch's own if None.

    Returns:
        What was done, one line per weight.

    Raises:
        UsageError: there is no residual block, or a parameter has no numbers yet.

    Shape:
        Weights may have any.

    Example:
        >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 8, batch_first=True)
        >>> model = torch.nn.TransformerEncoder(layer, 27, enable_nested_tensor=False)
        >>> print(init_subln(model)[0].what)
        normal, std 0.7061
    """
    anatomy = structured(model, "subln")

    def draw(part: Part) -> Draw:
        if part.role == "embedding":
            return normal(part.weight.outputs**-0.5, "embedding")
        if part.stack is None or part.role in ("query", "key", "shortcut"):
            return xavier(part, part.role)
        gain = _gain(part.stack, anatomy.stacks)
        why = f"{part.role}, {part.stack.num_layers:g} layers"
        return xavier(part, why, gain=1.0 if part.value_rows else gain, value_gain=gain)

    return fill(anatomy, model, draw, generator)


def _gain(stack: Stack, stacks: tuple[Stack, ...]) -> float:
    layers = max(stack.num_layers, 1.0)
    other = partner_of(stack, stacks)
    if other is None:
        return math.sqrt(math.log(2 * layers))
    if stack.is_decoder:
        return math.sqrt(math.log(3 * layers))
    return math.sqrt(math.log(3 * max(other.num_layers, 1.0)) * math.log(2 * layers) / 3)


SCHEMES: dict[str, Scheme] = {"subln": init_subln}


def _sample() -> nn.Module:
    model = small_transformer()
    init_subln(model)
    return model


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("init_subln",),
    samples=(Sample(build=_sample, inputs=lambda: (torch.randn(2, 5, 16),)),),
)
