"""Put each feature vector on a sphere whose radius is one learnable number.

## Formula
    y = g * sqrt(dim) * x / ||x||, computed as g * x / sqrt(mean(x^2) + eps); one scalar g,
    1 at the start, where Nguyen & Salazar write g * sqrt(dim) as one letter.

## Shape
    [..., dim] -> [..., dim].

## Dtype
    Any floating dtype in, the same out; the norm is taken in float32 for half precision.

## Cost
    One read and one write of the input, one multiplication; one parameter instead of `dim`.

## Source
    Nguyen & Salazar 2019, section 2.2.

## Helps against
    `missing-norm`, `exploding-gradient`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from steadytrain.blocks.rms_norm import RMSNorm
from steadytrain.core.technique import Sample, technique


class ScaleNorm(nn.Module):
    """Every feature vector has the same, learnable length.

    Args:
        dim: number of features.
        eps: added to the mean square; a zero vector stays zero.

    Shape:
        [..., dim] -> [..., dim].

    Raises:
        UsageError: `dim` is no positive whole number, or `eps` is not above zero.

    Example:
        >>> ScaleNorm(4)(torch.tensor([[3.0, 3.0, 3.0, 3.0]])).norm().round().item()
        2.0
    """

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.direction = RMSNorm(dim, eps, elementwise_affine=False)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        """`x` at the length `scale * sqrt(dim)`."""
        return self.direction(x) * self.scale.to(x.dtype)


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("ScaleNorm",),
    samples=(
        Sample(
            build=lambda: ScaleNorm(16),
            inputs=lambda: (torch.randn(3, 5, 16),),
            double_backward=True,
        ),
    ),
)
