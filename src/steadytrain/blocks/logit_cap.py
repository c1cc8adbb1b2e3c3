"""A soft cap keeps logits within a range, smoothly and in order.

## Formula
    soft_cap(z) = cap * tanh(z / cap)

## Shape
    Any; the result has the same.

## Dtype
    Computed in at least float32, returned in the input's dtype. In half precision tanh rounds to
    1 at 4 to 5 caps, and the gradient would be exactly zero from there on.

## Cost
    One tanh per logit, and for half-precision logits a float32 copy.

## Source
    Gemma team 2024, "Gemma 2": cap 30 on the output logits, 50 on those of attention.
    Common in small GPTs: 15.

## Helps against
    `attention-logits-too-large` and `exp-overflow`. A logit far outside hardly learns its way
    back: at 100 under a cap of 15 the gradient is 6e-6 of the uncapped one. Put the z-loss on
    the logits before the cap; it pulls those that the cap has let go. Masks come after the cap,
    or minus infinity becomes minus cap: safe_attention(soft_cap=...) keeps that order.
"""

from __future__ import annotations

import torch
from torch import Tensor

from steadytrain.blocks._bounds import positive
from steadytrain.blocks._float32 import at_least_float32
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique


def soft_cap(logits: Tensor, cap: float) -> Tensor:
    """The logits squeezed into (-cap, cap): unchanged near zero, and in the same order.

    Args:
        logits: of a classifier or of attention, before any mask.
        cap: the bound; far above the logits that are wanted.

    Raises:
        UsageError: `cap` is not a positive finite number, or the logits are not floating.

    Shape:
        Any; the result has the same.

    Example:
        >>> soft_cap(torch.tensor([-100.0, 0.1, 10.0, 100.0]), 15.0)
        tensor([-15.0000,   0.1000,   8.7417,  15.0000])
    """
    positive("cap", cap)
    if not logits.is_floating_point():
        raise UsageError(f"logits must be floating, got {logits.dtype}: give scores, not labels.")
    wide = logits.to(at_least_float32(logits.dtype))
    return (cap * torch.tanh(wide / cap)).to(logits.dtype)


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("soft_cap",),
    samples=(
        Sample(
            build=lambda: lambda logits: soft_cap(logits, 15.0),
            inputs=lambda: (100 * torch.randn(4, 9),),
            double_backward=True,
        ),
    ),
)
