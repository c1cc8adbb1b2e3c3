"""A post-norm transformer whose update stays bounded with depth: a weighted shortcut, smaller branches.

Post-norm trains worse the deeper it is, because its first updates are large. Weighing the shortcut
up by alpha and the branches' weights down by beta bounds the first update at any depth.

## Formula
    x = LayerNorm(alpha x + f(x));  value, output and feed-forward: Xavier * beta
    one stack of L layers:  alpha = (2 L)^(1/4),          beta = (8 L)^(-1/4)
    encoder of N, with M:   alpha = 0.81 (N^4 M)^(1/16),  beta = 0.87 (N^4 M)^(-1/16)
    decoder of M, with N:   alpha = (3 M)^(1/4),          beta = (12 M)^(-1/4)
    query, key, head: Xavier; embedding N(0, 1 / d); bias: 0; norm: scale 1, shift 0

The scheme sets beta. alpha stands in the forward: `NormPlacement` with `"deepnorm"` has it.

## Shape
Any model with residual blocks. In a packed weight [3d, d] the last third are the values.

## Dtype
Any floating or complex dtype; drawn in the parameter's own.

## Cost
One pass over the parameters, once; alpha costs one product per addition.

## Source
Wang et al. 2022 (DeepNet), figure 2 and section 4.

## Helps against
`post-norm-depth`, `missing-warmup`, `exploding-gradient`
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import nn

from steadytrain.blocks._bounds import whole
from steadytrain.blocks._changes import Change, Scheme
from steadytrain.blocks._filling import Draw, fill, normal, structured, xavier
from steadytrain.blocks._roles import Part
from steadytrain.blocks._sample_networks import small_transformer
from steadytrain.blocks._stacks import Stack, partner_of
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique

Side = Literal["encoder", "decoder"]


class DeepNormConstants(NamedTuple):
    """The two numbers of DeepNorm."""

    alpha: float
    """Factor on the shortcut, in the forward."""
    beta: float
    """Gain on the weights of value, output and feed-forward, at the beginning."""


def deepnorm_constants(
    num_layers: int, *, side: Side = "encoder", other_layers: int = 0
) -> DeepNormConstants:
    """DeepNorm's numbers for a stack of `num_layers` layers.

    Args:
        num_layers: layers of the stack, each of two additions (three in a decoder that attends
            to an encoder).
        side: which half of an encoder-decoder the stack is; of no matter where it is alone.
        other_layers: layers of the other half; 0 where there is none, as in BERT and GPT.

    Raises:
        UsageError: a number of layers is not whole or too small, or the side is unknown.

    Shape:
        Two numbers.

    Example:
        >>> alpha, beta = deepnorm_constants(128)
        >>> round(alpha, 3), round(beta, 3)
        (4.0, 0.177)
    """
    whole("num_layers", num_layers)
    whole("other_layers", other_layers, low=0)
    if side not in get_args(Side):
        msg = f"side must be one of {', '.join(get_args(Side))}, got {side!r}"
        raise UsageError(f"{msg}: it is which half of an encoder-decoder the stack is.")
    return _constants(num_layers, side, other_layers)


def _constants(layers: float, side: Side, other: float) -> DeepNormConstants:
    if not other:
        return DeepNormConstants((2 * layers) ** 0.25, (8 * layers) ** -0.25)
    if side == "decoder":
        return DeepNormConstants((3 * layers) ** 0.25, (12 * layers) ** -0.25)
    both = (layers**4 * other) ** (1 / 16)
    return DeepNormConstants(0.81 * both, 0.87 / both)


def init_deepnorm(model: nn.Module, *, generator: torch.Generator | None = None) -> list[Change]:
    """Values, outputs and feed-forward weights are Xavier's times DeepNorm's beta.

    Args:
        model: changed in place; frozen and reparametrised weights are left alone. Its forward
            must weigh the shortcuts by alpha, which the changes say.
        generator: the source of random numbers; torch's own if None.

    Returns:
        What was done, one line per weight.

    Raises:
        UsageError: there is no residual block, or a parameter has no numbers yet.

    Shape:
        Weights may have any.

    Example:
        >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> model = torch.nn.TransformerEncoder(layer, 8, enable_nested_tensor=False)
        >>> print(init_deepnorm(model)[-1].what)
        needs alpha 2.000 on its shortcuts
    """
    anatomy = structured(model, "deepnorm")
    numbers = {id(stack): _of_stack(stack, anatomy.stacks) for stack in anatomy.stacks}

    def draw(part: Part) -> Draw:
        if part.role == "embedding":
            return normal(part.weight.outputs**-0.5, "embedding")
        if part.stack is None or part.role in ("query", "key", "shortcut"):
            return xavier(part, part.role)
        beta = numbers[id(part.stack)].beta
        why = f"{part.role}, {part.stack.num_layers:g} layers"
        return xavier(part, why, gain=1.0 if part.value_rows else beta, value_gain=beta)

    return fill(anatomy, model, draw, generator) + [
        Change(
            path=stack.owner,
            what=f"needs alpha {numbers[id(stack)].alpha:.3f} on its shortcuts",
            why="an initialisation cannot change the forward",
        )
        for stack in anatomy.stacks
    ]


def _of_stack(stack: Stack, stacks: tuple[Stack, ...]) -> DeepNormConstants:
    other = partner_of(stack, stacks)
    side: Side = "decoder" if stack.is_decoder else "encoder"
    return _constants(stack.num_layers, side, 0 if other is None else other.num_layers)


SCHEMES: dict[str, Scheme] = {"deepnorm": init_deepnorm}


def _sample() -> nn.Module:
    model = small_transformer(norm_first=False)
    init_deepnorm(model)
    return model


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("deepnorm_constants", "init_deepnorm"),
    samples=(Sample(build=_sample, inputs=lambda: (torch.randn(2, 5, 16),)),),
)
