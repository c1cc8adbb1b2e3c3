"""The gain that undoes any activation, from its expected square under a normal input.

## Formula
    gain(phi, q) = sqrt(q / E[phi(sqrt(q) z)^2]),  z from N(0, 1)

With Var W = gain^2 / fan_in, pre-activations of variance q have variance q again one layer on;
q is 1 unless told. ReLU 1.4142, GELU 1.5335, SiLU 1.6765, Mish 1.4868, tanh 1.5925, sigmoid 1.8462,
SELU 1, identity 1.

What the gain does not promise. It makes q a fixed point of the variance from layer to layer, and
for GELU, SiLU and Mish an unstable one: a deviation grows by 14%, 17% and 8% per layer. And it says
nothing of gradients, which change by E[phi'^2] / E[phi^2] per layer: over 50 layers 30 times for
GELU and SELU and 3,000 times for tanh. Up to a dozen layers that is harmless; for deep plain
networks use the scheme `mirrored`, which holds signal and gradient at once, or `lsuv`, which holds
the signal. `steadytrain lab init` measures all of it.

## Shape
A number, whatever the shape of the layer. The activation must act on each element by itself.

## Dtype
Computed in float64 on the CPU, from a copy of a module in evaluation mode.

## Cost
About 130 evaluations of the activation, once; 66,000 where it has kinks or jumps (milliseconds).

## Source
Poole et al. 2016, equation 3 (the variance map); Schoenholz et al. 2017 (its fixed points and the
gradient); the gain of He et al. 2015 is the case of ReLU. torch's `calculate_gain` has no GELU,
SiLU or Mish and gives 1 for sigmoid and 0.75 for SELU.

## Helps against
`init-too-small`, `init-too-large`, `vanishing-gradient`, `saturated-activation`
"""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import nn

from steadytrain.blocks._activation import Activation, elementwise, name_of
from steadytrain.blocks._gaussian import derivative, gaussian_mean
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique

_TINY: Final = 1e-30
"""An expected square below this has no gain that a weight in float32 could carry."""


def gain_for(activation: Activation, *, variance: float = 1.0) -> float:
    """The factor on 1/sqrt(fan_in) weights that keeps pre-activations at `variance`.

    Args:
        activation: a name ("gelu"), a module (`nn.LeakyReLU(0.2)`) or any elementwise function.
            A random one is taken as it is in evaluation. A trained `nn.PReLU` counts with its
            slopes.
        variance: of the numbers that enter the activation.

    Raises:
        UsageError: the activation is no elementwise function, gives NaN or infinity, or is zero
            on all of the input; or `variance` is no positive number.
        UnknownNameError: a name that no activation has.

    Example:
        >>> import torch
        >>> [round(gain_for(name), 3) for name in ("relu", "gelu", "silu", "tanh")]
        [1.414, 1.534, 1.677, 1.593]
        >>> round(gain_for(lambda x: x.relu().square()), 3)
        0.816
        >>> weight = torch.nn.Linear(256, 256).weight
        >>> _ = torch.nn.init.normal_(weight, std=gain_for("silu") / 256**0.5)
    """
    if not (0.0 < variance < math.inf):
        msg = f"variance must be a positive number, got {variance}"
        raise UsageError(f"{msg}: 1.0 is that of a normalised signal.")
    moment = second_moment(activation, variance)
    return math.sqrt(variance / moment)


def second_moment(activation: Activation, variance: float = 1.0) -> float:
    """E[phi(x)^2] for x from N(0, variance).

    Raises:
        UsageError: it is not finite, or zero; or the activation is none.
    """
    function, scale = elementwise(activation), math.sqrt(variance)
    moment = gaussian_mean(lambda z: function(scale * z).square())
    if _TINY < moment < math.inf:
        return moment
    name = name_of(activation)
    if moment <= _TINY:
        msg = f"{name} is zero for every normal input: no gain can keep a signal through it."
        raise UsageError(f"{msg} Check that it is the function that was meant.")
    msg = f"E[{name}(x)^2] over normal x is {moment}: it is not finite on all real numbers."
    raise UsageError(f"{msg} Wrap what is undefined, such as log(1 + x.relu()) for a logarithm.")


def gradient_factor(activation: Activation, variance: float = 1.0) -> float:
    """What a layer with this gain multiplies the second moment of gradients by.

    It is q E[phi'(sqrt(q) z)^2] / E[phi(sqrt(q) z)^2], for as many inputs as outputs.

    Raises:
        UsageError: as `gain_for`.
    """
    function, scale = elementwise(activation), math.sqrt(variance)
    slope = derivative(function)
    squared = gaussian_mean(lambda z: slope(scale * z).square())
    return variance * squared / second_moment(activation, variance)


def _build_sample() -> nn.Module:
    layer = nn.Linear(8, 8)
    nn.init.normal_(layer.weight, std=gain_for("silu") / 8**0.5)
    return nn.Sequential(layer, nn.SiLU())


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("gain_for",),
    samples=(Sample(build=_build_sample, inputs=lambda: (torch.randn(4, 8),)),),
)
