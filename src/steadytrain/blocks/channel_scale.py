"""Scale each channel of a branch by a learnable number that starts near zero.

Multiplies only: put it last in a branch and add the branch to the stream, as in
`ScaledResidual(nn.Sequential(mlp, LayerScale(dim)), scale=1.0)`.

## Formula
    y = lambda * x per channel, so that the block is x + diag(lambda) f(x).

## Shape
    [..., dim] -> [..., dim]; with `channel_dim=1` images [N, dim, H, W].

## Dtype
    Any floating dtype in, the same out. Below 6e-5 a float16 weight is subnormal and coarse (1e-5
    is off by up to 0.6%): keep the parameter in float32 under autocast.

## Cost
    One multiplication of the branch and `dim` parameters.

## Source
    Touvron et al. 2021 (CaiT), section 2: 0.1 up to 18 layers, 1e-5 up to 24, 1e-6 beyond.

## Helps against
    `residual-growth`, `missing-warmup`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from steadytrain.blocks._bounds import finite, whole
from steadytrain.core.technique import Sample, technique


class LayerScale(nn.Module):
    """The input times one learnable number per channel.

    Args:
        dim: number of channels.
        init: each number at the start.
        channel_dim: which dimension of the input holds the channels.

    Shape:
        [..., dim] -> [..., dim], or with the channels at `channel_dim`.

    Raises:
        UsageError: `dim` is no positive whole number, or `init` is not finite.

    Example:
        >>> LayerScale(3, init=0.5)(torch.ones(2, 3)).sum().item()
        3.0
        >>> LayerScale(3, channel_dim=1)(torch.ones(2, 3, 4, 4)).shape
        torch.Size([2, 3, 4, 4])
    """

    def __init__(self, dim: int, init: float = 1e-5, *, channel_dim: int = -1) -> None:
        super().__init__()
        self.channel_dim = channel_dim
        self.scale = nn.Parameter(torch.full((whole("dim", dim),), finite("init", init)))

    def forward(self, x: Tensor) -> Tensor:
        """`x`, each channel times its number."""
        shape = [1] * x.dim()
        shape[self.channel_dim] = -1
        return x * self.scale.to(x.dtype).view(shape)


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("LayerScale",),
    samples=(
        Sample(
            build=lambda: LayerScale(8),
            inputs=lambda: (torch.randn(3, 8),),
            double_backward=True,
        ),
        Sample(
            build=lambda: LayerScale(4, init=0.1, channel_dim=1),
            inputs=lambda: (torch.randn(2, 4, 3, 3),),
            double_backward=True,
        ),
    ),
)
