"""Normalise the channels of each position alone: the layer norm of transformers, for images.

Not `GroupNorm(1, C)`, which takes one mean over channels and positions together.

## Formula
    y = (x - mean) / sqrt(var + eps) * weight + bias; mean and (biased) variance over the C
    channels of one position of one sample; weight and bias per channel.

## Shape
    [N, C, *] -> [N, C, *]; any number of positions, none included.

## Dtype
    That of `torch.nn.LayerNorm`: statistics in float32 for half precision.

## Cost
    A layer norm, read across channels: free in `torch.channels_last` memory, and a copy to that
    layout otherwise.

## Source
    Ba et al. 2016 over channels; Liu et al. 2022 (ConvNeXt), section 2.6; eps 1e-6 as there.

## Helps against
    `batchnorm-small-batch`, `missing-norm`, `wrong-axis`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from steadytrain.blocks._bounds import positive, whole
from steadytrain.core.technique import Sample, technique


class ChannelLayerNorm(nn.LayerNorm):
    """Each position's channels have mean zero and variance one, times weight, plus bias.

    Args:
        channels: number of channels, the second dimension of the input.
        eps: added to the variance.

    Shape:
        [N, C, *] -> [N, C, *].

    Raises:
        UsageError: `channels` is no positive whole number, or `eps` is not above zero.

    Example:
        >>> y = ChannelLayerNorm(8)(torch.randn(2, 8, 4, 4))
        >>> bool(y.mean(dim=1).abs().max() < 1e-5)
        True
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__(whole("channels", channels), positive("eps", eps))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the parent's name
        """`input`, normalised over its second dimension at every position."""
        return super().forward(input.movedim(1, -1)).movedim(-1, 1)


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("ChannelLayerNorm",),
    samples=(
        Sample(
            build=lambda: ChannelLayerNorm(6),
            inputs=lambda: (torch.randn(2, 6, 4, 3),),
            double_backward=True,
        ),
    ),
)
