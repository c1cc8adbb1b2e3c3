"""A residual convolutional network in four stages whose stream stays bounded, with any norm.

Each stage halves the image and starts its stream anew at unit size; its n blocks add 1/n of a
normalised branch each, so that together they add at most as much again, at any depth and whatever
the weights become. `norm="none"` has standardised weights and known variances instead.

## Formula
    stage: x_0 = N(conv(phi(x))), stride 2 from the second stage on (the first has no phi);
    block: x_l = x_(l-1) + N(conv(phi(N(conv(x_(l-1)))))) / n;
    then phi, the mean over positions, and a linear layer of standard deviation 1/features.
    Without a norm: conv standardised, phi times `normalizer_free_gain`, x / beta into each branch.

## Shape
    [N, in_channels, H, W] -> [N, num_classes]; any H and W from 1 on that the norm can work with.
    The last stage sees ceil(H/8) x ceil(W/8) positions: batch norm needs two values per channel
    there (images or positions) in training, instance norm two positions. Group and layer norm and
    none need nothing, one image of one pixel included.

## Dtype
    Any floating dtype in, the same out; statistics in float32 for half precision.

## Cost
    Two 3x3 convolutions and two norms per block, as a basic ResNet block.

## Source
    Stages and blocks: He et al. 2016; the norm at the end of the branch and no activation after
    the sum: the `reordered` placement (see `NormPlacement`), Liu et al. 2022 (Swin v2); without
    norm: Brock et al. 2021 (NFNets). 1/n: see `StableMLP`.

## Helps against
    `missing-residual`, `residual-growth`, `batchnorm-small-batch`, `missing-norm`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import torch
from torch import Tensor, nn

from steadytrain.blocks._activation import Activation
from steadytrain.blocks._bounds import share, whole
from steadytrain.blocks._nonlinearity import Nonlinearity
from steadytrain.blocks._norm_kinds import KINDS, NormKind
from steadytrain.blocks.conv_norm import ConvNorm
from steadytrain.blocks.drop_path import StochasticDepth, linear_drop_rates
from steadytrain.blocks.normalizer_free import NormalizerFree, normalizer_free_gain
from steadytrain.blocks.scaled_residual import ScaledResidual
from steadytrain.blocks.weight_standardization import WeightStandardizedConv2d
from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.core.technique import Sample, technique

NUM_STAGES = 4


class StableNet(nn.Module):
    """A residual network for images that trains at any depth and with any norm.

    Args:
        in_channels: channels of the images.
        num_classes: width of the output.
        width: channels of the first stage; each later one has twice those before it.
        blocks: residual blocks of each stage: one number, or one per stage.
        norm: `"group"`, `"batch"`, `"sync-batch"`, `"layer"`, `"instance"` or `"none"`.
        activation: a name ("relu"), a module, a class of modules or an elementwise function.
        drop_path: rate of stochastic depth in the last block, less before it.

    Shape:
        [N, in_channels, H, W] -> [N, num_classes].

    Raises:
        UsageError: a size or share is out of range, or the activation is none; and, when called,
            images whose statistics the norm cannot take.
        UnknownNameError: there is no such norm or activation.

    Example:
        >>> StableNet(1, 10, width=8)(torch.randn(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        in_channels: int = 3,
        num_classes: int = 10,
        *,
        width: int = 32,
        blocks: int | Sequence[int] = 2,
        norm: NormKind = "group",
        activation: Activation | type[nn.Module] = "relu",
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if norm not in KINDS["images"]:
            raise UnknownNameError.build("norm for images", norm, KINDS["images"])
        self.norm = norm
        self.in_channels = whole("in_channels", in_channels)
        counts = _counts(blocks)
        rates = iter(linear_drop_rates(share("drop_path", drop_path), sum(counts)))
        self.stages = nn.Sequential()
        channels = in_channels
        for place, count in enumerate(counts):
            wide = whole("width", width) * 2**place
            entry = _entry(channels, wide, norm, activation, first=place == 0)
            branches = [_branch(wide, norm, activation, next(rates)) for _ in range(count)]
            self.stages.append(nn.Sequential(entry, *_residuals(branches, norm)))
            channels = wide
        self.activation = Nonlinearity(activation)
        self.head = nn.Linear(channels, whole("num_classes", num_classes))
        nn.init.normal_(self.head.weight, std=1.0 / channels)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """The logits of `images`."""
        self._check(images)
        return self.head(self.activation(self.stages(images)).mean(dim=(2, 3)))

    def _check(self, images: Tensor) -> None:
        if images.dim() != 4 or images.shape[1] != self.in_channels:
            msg = f"StableNet takes images [N, {self.in_channels}, H, W], got shape"
            raise UsageError(f"{msg} {tuple(images.shape)}: add or move a dimension.")
        height, width = images.shape[2:]
        shrink = 2 ** (NUM_STAGES - 1)
        positions = ceil(height / shrink) * ceil(width / shrink)
        values = images.shape[0] * positions
        lacking = self.norm == "batch" and self.training and values < 2
        if lacking or (self.norm == "instance" and positions < 2):
            found = f"{images.shape[0]} image(s) of {height}x{width}"
            msg = f"{self.norm} norm has one value per channel in the last stage for {found}, and"
            better = f"images larger than {shrink} pixels" + (" or more of them" * lacking)
            raise UsageError(f"{msg} its variance is 0: use {better}, or norm='group'.")


def _counts(blocks: int | Sequence[int]) -> list[int]:
    counts = list(blocks) if isinstance(blocks, Sequence) else [blocks] * NUM_STAGES
    if len(counts) != NUM_STAGES:
        msg = f"blocks must be one number or {NUM_STAGES}, one per stage, got {len(counts)}"
        raise UsageError(f"{msg}: try blocks=2.")
    return [whole("blocks", count) for count in counts]


def _entry(
    channels: int,
    wide: int,
    norm: NormKind,
    activation: Activation | type[nn.Module],
    *,
    first: bool,
) -> nn.Module:
    stride = 1 if first else 2
    return nn.Sequential(
        nn.Identity() if first else _unit(activation, norm), _conv(channels, wide, norm, stride)
    )


def _branch(
    wide: int, norm: NormKind, activation: Activation | type[nn.Module], drop_path: float
) -> nn.Module:
    convs = (_conv(wide, wide, norm), _unit(activation, norm), _conv(wide, wide, norm))
    return nn.Sequential(*convs, StochasticDepth(drop_path))


def _residuals(branches: list[nn.Module], norm: NormKind) -> nn.Sequential:
    scale = 1.0 / len(branches)
    if norm == "none":
        return NormalizerFree.stack(branches, alpha=scale)
    return nn.Sequential(*(ScaledResidual(branch, scale) for branch in branches))


def _conv(channels: int, wide: int, norm: NormKind, stride: int = 1) -> nn.Module:
    if norm == "none":
        return WeightStandardizedConv2d(channels, wide, 3, stride, padding=1)
    return ConvNorm(channels, wide, 3, stride, norm=norm, activation=None)


def _unit(activation: Activation | type[nn.Module], norm: NormKind) -> Nonlinearity:
    plain = Nonlinearity(activation)
    return Nonlinearity(activation, normalizer_free_gain(plain)) if norm == "none" else plain


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("StableNet",),
    samples=tuple(
        Sample(
            build=lambda norm=norm: StableNet(2, 3, width=4, blocks=1, norm=norm),
            inputs=lambda: (torch.randn(2, 2, 9, 9),),
            dtypes=("float32", "bfloat16"),
        )
        for norm in ("group", "batch", "none")
    ),
)
