"""Weights whose variance is set by their fans and by the activation around them.

## Formula
    xavier: Var W = gain^2 * 2 / (fan_in + fan_out)
    kaiming (he): Var W = gain^2 / fan_in
    kaiming-fan-out: Var W = gain^2 / fan_out
    lecun: Var W = 1 / fan_in

normal for `kaiming` and `lecun`, uniform for `xavier`; biases are zero. The gain is `gain_for` of
the activation that the weight's input came through. The first layer's input came through none: it
takes the gain of the activation that follows where that is scale-free (ReLU: the customary
sqrt(2)), and 1 otherwise, because GELU or tanh would be moved off their operating point. A layer
that gives the model's output has gain 1.

Fans are those of what is computed. A grouped convolution sums over its own group only; a
transposed one reads its second dimension; attention stacks three matrices and an LSTM four into
one parameter. torch's `xavier_` and `kaiming_` take the shape as it stands and are off by up to
the number of groups, or sqrt(2) for attention. And `nn.Linear` itself is not initialised like
this: its variance is 1 / (3 fan_in), a sixth of He's, and 50 layers of it with ReLU shrink the
signal by 20 decades.

Embeddings become N(0, 1), what a table that is looked up needs; the padding row stays zero. A
weight that an embedding and a linear layer share is initialised once, as that of the linear layer.
Norms are left as they are. Frozen weights are left alone, and that is said.

## Shape
Any: linear layers, convolutions (grouped, transposed), attention, recurrent cells.

## Dtype
That of the weight; on the weight's device, from torch's global random numbers.

## Cost
One pass over the weights.

## Source
Glorot & Bengio 2010, equation 16; He et al. 2015, equations 10 and 14; LeCun et al. 1998, section
4.6; Klambauer et al. 2017 (SELU needs `lecun`).

## Helps against
`init-too-small`, `init-too-large`, `vanishing-gradient`, `exploding-gradient`, `symmetric-init`
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Final

import torch
from torch import nn

from steadytrain.blocks._activation import elementwise, is_scale_free, name_of
from steadytrain.blocks._changes import Change, Scheme
from steadytrain.blocks._layers import Layer
from steadytrain.blocks._matrices import Matrix
from steadytrain.blocks._rewriting import rewrite
from steadytrain.blocks.gains import gain_for
from steadytrain.core.technique import Sample, technique

Variance = Callable[[Matrix, float], float]
"""The variance of a matrix's entries, from its fans and its gain."""


def gain_at(layer: Layer) -> tuple[float, str]:
    """The gain of a layer by what stands around it, and why."""
    if layer.is_output:
        return 1.0, "it gives the output"
    if layer.before is not None:
        return gain_for(layer.before), f"its input came through {name_of(layer.before)}"
    if layer.after is None:
        return 1.0, "there is no activation around it"
    if is_scale_free(elementwise(layer.after)):
        return gain_for(layer.after), f"{name_of(layer.after)} follows"
    return 1.0, f"its input came through no activation, and {name_of(layer.after)} has a scale"


def _normal(matrix: Matrix, variance: float) -> str:
    std = math.sqrt(variance)
    nn.init.normal_(matrix.view, std=std)
    return f"normal, std {std:.3g}"


def _uniform(matrix: Matrix, variance: float) -> str:
    bound = math.sqrt(3.0 * variance)
    nn.init.uniform_(matrix.view, -bound, bound)
    return f"uniform, +-{bound:.3g}"


def _scaled(
    model: nn.Module, *, variance: Variance, draw: Callable[[Matrix, float], str]
) -> list[Change]:
    def fill(layer: Layer) -> tuple[str, str]:
        gain, why = gain_at(layer)
        what = [draw(matrix, variance(matrix, gain)) for matrix in layer.matrices]
        return what[0], f"{why}, gain {gain:.4g}"

    return rewrite(model, fill)


def _of_both_fans(matrix: Matrix, gain: float) -> float:
    return 2.0 * gain**2 / (matrix.fan_in + matrix.fan_out)


def _of_fan_in(matrix: Matrix, gain: float) -> float:
    return gain**2 / matrix.fan_in


def _of_fan_out(matrix: Matrix, gain: float) -> float:
    return gain**2 / matrix.fan_out


def _without_gain(matrix: Matrix, gain: float) -> float:  # noqa: ARG001
    return 1.0 / matrix.fan_in


_KAIMING: Final[Scheme] = functools.partial(_scaled, variance=_of_fan_in, draw=_normal)

SCHEMES: Final[dict[str, Scheme]] = {
    "he": _KAIMING,
    "kaiming": _KAIMING,
    "kaiming-fan-out": functools.partial(_scaled, variance=_of_fan_out, draw=_normal),
    "lecun": functools.partial(_scaled, variance=_without_gain, draw=_normal),
    "xavier": functools.partial(_scaled, variance=_of_both_fans, draw=_uniform),
}


def _build_sample() -> nn.Module:
    model = nn.Sequential(nn.Conv1d(2, 4, 3, groups=2), nn.GELU(), nn.Conv1d(4, 2, 1))
    _KAIMING(model)
    return model


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=(),
    samples=(Sample(build=_build_sample, inputs=lambda: (torch.randn(3, 2, 8),)),),
)
