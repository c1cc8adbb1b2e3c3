"""Normalise groups of channels within each sample, with a group count that is sure to divide.

`GroupNorm(1, C)` is often called a layer norm. It is one over channels *and* positions: a sample
with one very bright spot is darkened everywhere else. The layer norm of transformers, over the
channels of each position alone, is `ChannelLayerNorm`; the two give different numbers wherever
there is more than one position. With as many groups as channels it is instance norm.

## Formula
    y = (x - mean) / sqrt(var + eps) * weight + bias; mean and (biased) variance of each sample
    over the channels of a group and all positions; weight and bias per channel.

## Shape
    [N, C, *] -> [N, C, *].

## Dtype
    Any floating dtype; statistics in float32 for half precision, inside torch's kernel.

## Cost
    That of `torch.nn.GroupNorm`, which it is.

## Source
    Wu & He 2018, section 3. At most 32 groups is their default; see `group_count` for its floor.

## Helps against
    `batchnorm-small-batch`, `batchnorm-running-stats`, `missing-norm`.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import nn

from steadytrain.blocks._bounds import positive, whole
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique

MAX_GROUPS: Final = 32
MIN_GROUP_CHANNELS: Final = 8


class GroupNorm(nn.GroupNorm):
    """`torch.nn.GroupNorm` that says which group counts the channels allow.

    Args:
        num_groups: number of groups; must divide `num_channels`.
        num_channels: number of channels.
        eps: added to the variance.
        affine: whether each channel has a learnable factor and shift.
        device: where the parameters are made.
        dtype: their dtype.

    Shape:
        [N, C, *] -> [N, C, *].

    Raises:
        UsageError: `num_groups` does not divide `num_channels`, or `eps` is not above zero.

    Example:
        >>> GroupNorm(2, 6)(torch.randn(1, 6, 4, 4)).shape
        torch.Size([1, 6, 4, 4])
        >>> GroupNorm(8, 12)
        Traceback (most recent call last):
        ...
        steadytrain.core.errors.UsageError: num_groups must divide num_channels, got 8 groups \
for 12 channels: choose one of its divisors 1, 2, 3, 4, 6, 12.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        groups, channels = whole("num_groups", num_groups), whole("num_channels", num_channels)
        if channels % groups:
            msg = f"num_groups must divide num_channels, got {groups} groups for {channels}"
            known = ", ".join(str(one) for one in divisors(channels))
            raise UsageError(f"{msg} channels: choose one of its divisors {known}.")
        super().__init__(groups, channels, positive("eps", eps), affine, device, dtype)


def divisors(number: int) -> list[int]:
    """Every whole number that divides `number`, in rising order."""
    return [one for one in range(1, number + 1) if number % one == 0]


def group_count(num_channels: int, max_groups: int = MAX_GROUPS) -> int:
    """The largest count up to `max_groups` that divides the channels and leaves eight in each.

    Eight, because groups of one channel erase a feature that has one position: minus its mean,
    a single number is zero. With fewer than sixteen channels, or a prime number, it is one group.

    Args:
        num_channels: number of channels.
        max_groups: the most groups there may be.

    Raises:
        UsageError: one of them is no positive whole number.

    Example:
        >>> [group_count(channels) for channels in (3, 32, 48, 64, 512, 97)]
        [1, 4, 6, 8, 32, 1]
    """
    channels, most = whole("num_channels", num_channels), whole("max_groups", max_groups)
    fitting = min(most, max(1, channels // MIN_GROUP_CHANNELS))
    return max(one for one in divisors(channels) if one <= fitting)


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("GroupNorm", "group_count"),
    samples=(
        Sample(
            build=lambda: GroupNorm(2, 6),
            inputs=lambda: (torch.randn(2, 6, 4, 3),),
            double_backward=True,
        ),
    ),
)
