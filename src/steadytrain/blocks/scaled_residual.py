"""Add a branch to the stream at a fixed, small share, so that the sum stays bounded in depth.

With L branches of unit variance a plain residual sum grows to a variance of L + 1; with the scale
1/sqrt(L) it ends at 2, whatever the depth, and the gradient likewise.

## Formula
    y = x + scale * f(x); `residual_scale(L)` = 1 / sqrt(L).

## Shape
    Any x; f keeps its shape.

## Dtype
    Any floating dtype in, the same out.

## Cost
    One multiply-add of the stream; no parameter. The scale is a constant of the module, not part
    of its state_dict.

## Source
    Constant 0.1 to 0.3: Szegedy et al. 2017 (Inception-v4), section 3.3. 1/sqrt(L): Hayou et al.
    2021 (Stable ResNet), uniform scaling.

## Helps against
    `residual-growth`, `exploding-gradient`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from steadytrain.blocks._bounds import finite, whole
from steadytrain.blocks._residual_sum import residual_sum
from steadytrain.core.technique import Sample, technique


class ScaledResidual(nn.Module):
    """x + scale * branch(x).

    Args:
        branch: any module that keeps its first argument's shape.
        scale: the branch's share; `residual_scale(num_branches)` keeps a deep sum bounded.

    Shape:
        As the branch's first argument.

    Raises:
        UsageError: `scale` is not a finite number.

    Example:
        >>> block = ScaledResidual(nn.Linear(4, 4), scale=residual_scale(num_branches=16))
        >>> block.scale
        0.25
    """

    def __init__(self, branch: nn.Module, scale: float = 0.1) -> None:
        super().__init__()
        self.branch = branch
        self.scale = finite("scale", scale)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The sum; further arguments go to the branch."""
        return residual_sum(x, self.scale * self.branch(x, *args, **kwargs))

    def extra_repr(self) -> str:
        return f"scale={self.scale:.4g}"


def residual_scale(num_branches: int) -> float:
    """The share at which `num_branches` unit branches add the variance of one.

    Args:
        num_branches: residual additions in the whole network (a transformer layer has two).

    Raises:
        UsageError: it is no positive whole number.

    Example:
        >>> residual_scale(100)
        0.1
    """
    return whole("num_branches", num_branches) ** -0.5


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("ScaledResidual", "residual_scale"),
    samples=(
        Sample(
            build=lambda: ScaledResidual(nn.Linear(8, 8)),
            inputs=lambda: (torch.randn(3, 8),),
            double_backward=True,
        ),
    ),
)
