"""A residual perceptron block that reads a normalised stream and adds to the plain one.

## Formula
    y = x + scale * W2 phi(W1 N(x)); Var W1 = 1/dim, Var W2 = gain_for(phi)^2 / hidden_dim,
    biases 0: at the start the branch adds features of variance scale^2.

## Shape
    [..., dim] -> [..., dim].

## Dtype
    Any floating dtype in, the same out; the norm's statistics in float32 for half precision.

## Cost
    Two matrix products and one norm.

## Source
    Vaswani et al. 2017, section 3.3, with the norm before the branch (Xiong et al. 2020); the
    variances by the rule of He et al. 2015 for the activation at hand.

## Helps against
    `missing-residual`, `missing-norm`, `vanishing-gradient`, `post-norm-depth`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from steadytrain.blocks._activation import Activation
from steadytrain.blocks._bounds import finite, whole
from steadytrain.blocks._feed_forward import feed_forward
from steadytrain.blocks._residual_sum import residual_sum
from steadytrain.blocks.rms_norm import RMSNorm
from steadytrain.core.technique import Sample, technique


class PreNormMLP(nn.Module):
    """x + scale * mlp(norm(x)).

    Args:
        dim: number of features.
        hidden_dim: number of hidden features; four times `dim` if None.
        activation: a name ("gelu"), a module, a class of modules or an elementwise function.
        dropout: share of the hidden features that training leaves out.
        norm: makes the norm from the number of features.
        scale: the branch's share; `residual_scale(num_branches)` keeps a deep sum bounded.

    Shape:
        [..., dim] -> [..., dim].

    Raises:
        UsageError: a size, share or scale is out of range, or the activation is none.

    Example:
        >>> block = PreNormMLP(8, activation="silu")
        >>> block(torch.randn(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        dim: int,
        hidden_dim: int | None = None,
        *,
        activation: Activation | type[nn.Module] = "gelu",
        dropout: float = 0.0,
        norm: Callable[[int], nn.Module] = RMSNorm,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.norm = norm(whole("dim", dim))
        self.mlp = feed_forward(dim, hidden_dim, activation, dropout)
        self.scale = finite("scale", scale)

    def forward(self, x: Tensor) -> Tensor:
        """The stream plus the perceptron of its normalised self."""
        change = self.mlp(self.norm(x))
        return residual_sum(x, change if self.scale == 1.0 else self.scale * change)

    def extra_repr(self) -> str:
        return f"scale={self.scale:.4g}"


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("PreNormMLP",),
    samples=(
        Sample(
            build=lambda: PreNormMLP(8),
            inputs=lambda: (torch.randn(2, 3, 8),),
            double_backward=True,
        ),
    ),
)
