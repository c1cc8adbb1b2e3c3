"""Start every residual block as the identity and let one learnable number open it.

SkipInit is the same block around a branch without batch norm, and starts at 0 as well.

In the very first step only the numbers themselves have a gradient: with alpha at zero nothing
reaches the branch. A clip that compares gradients with past ones (AdaGC) or with the weights and
no floor freezes such a branch for ever.

## Formula
    y = x + alpha * f(x), alpha = 0 at the start, one scalar per block.

## Shape
    Any x; f keeps its shape.

## Dtype
    Any floating dtype in, the same out.

## Cost
    One multiply-add of the stream and one parameter.

## Source
    Bachlechner et al. 2020 (ReZero), equation 1; De & Smith 2020 (SkipInit), section 4.

## Helps against
    `residual-growth`, `missing-warmup`, `exploding-gradient`, `vanishing-gradient`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from steadytrain.blocks._bounds import finite
from steadytrain.blocks._residual_sum import residual_sum
from steadytrain.core.technique import Sample, technique


class ReZero(nn.Module):
    """x + alpha * branch(x), with a learnable scalar alpha that starts at zero.

    Args:
        branch: any module that keeps its first argument's shape.
        init: alpha at the start.

    Shape:
        As the branch's first argument.

    Raises:
        UsageError: `init` is not a finite number.

    Example:
        >>> x = torch.randn(2, 4)
        >>> torch.equal(ReZero(nn.Linear(4, 4))(x), x)
        True
    """

    def __init__(self, branch: nn.Module, init: float = 0.0) -> None:
        super().__init__()
        self.branch = branch
        self.alpha = nn.Parameter(torch.tensor(finite("init", init)))

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The sum; further arguments go to the branch."""
        out = self.branch(x, *args, **kwargs)
        return residual_sum(x, self.alpha.to(out.dtype) * out)


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("ReZero",),
    samples=(
        Sample(
            build=lambda: ReZero(nn.Linear(8, 8)),
            inputs=lambda: (torch.randn(3, 8),),
            double_backward=True,
        ),
    ),
)
