"""A transformer begins so that it trains without layer norms and without a warm-up.

Early gradients of Adam are noisy, and layer norm passes the noise on. With values, outputs,
feed-forward weights and embeddings small enough for the depth, one step changes the output by a
bounded amount and neither is needed. Query and key are left at Xavier's size.

## Formula
    value, output, feed-forward of the encoder:  Xavier * 0.67 N^(-1/4)
    value, output, feed-forward of the decoder:  Xavier * (9 N)^(-1/4)
    embedding:                                   N(0, 1 / d) * (9 N)^(-1/4)
    query, key, everything else:                 Xavier
    bias: 0; padding rows: 0

N is the number of layers in the stack. A stack that attends to itself only, a GPT's too, is an
encoder here: it has two additions per layer, not three.

## Shape
Any model with residual blocks. In a packed weight [3d, d] the last third are the values.

## Dtype
Any floating or complex dtype; drawn in the parameter's own.

## Cost
One pass over the parameters, once.

## Source
Huang et al. 2020 (T-Fixup), section 3.2. The layer norms of the model are not removed by it.

## Helps against
`missing-warmup`, `missing-norm`, `post-norm-depth`
"""

from __future__ import annotations

import torch
from torch import nn

from steadytrain.blocks._changes import Change, Scheme
from steadytrain.blocks._filling import Draw, fill, normal, structured, xavier
from steadytrain.blocks._roles import Part
from steadytrain.blocks._sample_networks import small_transformer
from steadytrain.core.technique import Sample, technique


def init_t_fixup(model: nn.Module, *, generator: torch.Generator | None = None) -> list[Change]:
    """Values, outputs, feed-forward weights and embeddings are shrunk by the depth.

    Args:
        model: changed in place; frozen and reparametrised weights are left alone.
        generator: the source of random numbers; torch's own if None.

    Returns:
        What was done, one line per weight.

    Raises:
        UsageError: there is no residual block, or a parameter has no numbers yet.

    Shape:
        Weights may have any.

    Example:
        >>> layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        >>> model = torch.nn.TransformerEncoder(layer, 16, enable_nested_tensor=False)
        >>> print(init_t_fixup(model)[1])
        Change(path='layers.0.self_attn.in_proj_weight', what='normal, std 0.3536 / 0.1184', ...)
    """
    anatomy = structured(model, "t-fixup")
    layers = max(stack.num_layers for stack in anatomy.stacks)

    def draw(part: Part) -> Draw:
        if part.role == "embedding":
            std = part.weight.outputs**-0.5 * (9 * layers) ** -0.25
            return normal(std, f"embedding, {layers:g} layers")
        if part.stack is None or part.role in ("query", "key", "shortcut"):
            return xavier(part, part.role)
        gain = _gain(part.stack.num_layers, decoder=part.stack.is_decoder)
        why = f"{part.role}, {part.stack.num_layers:g} layers"
        return xavier(part, why, gain=1.0 if part.value_rows else gain, value_gain=gain)

    return fill(anatomy, model, draw, generator)


def _gain(layers: float, *, decoder: bool) -> float:
    return (9 * layers) ** -0.25 if decoder else 0.67 * layers**-0.25


SCHEMES: dict[str, Scheme] = {"t-fixup": init_t_fixup}


def _sample() -> nn.Module:
    model = small_transformer()
    init_t_fixup(model)
    return model


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("init_t_fixup",),
    samples=(Sample(build=_sample, inputs=lambda: (torch.randn(2, 5, 16),)),),
)
