"""A convolution and its norm as one block, without the bias that the norm would take out again.

Batch and instance norm subtract each channel's mean and so the bias with it: it gets a gradient of
zero and weight decay, and no value. The norms over several channels have a shift of their own
right after. Only without a norm has the convolution a bias.

## Formula
    y = phi(N(conv(x))), conv with `same` padding; Var W = gain_for(phi)^2 / fan_in,
    fan_in = in_channels / groups * kernel_size^2, no bias; without a norm a bias of 0.

## Shape
    [N, C_in, H, W] -> [N, C_out, ceil(H / stride), ceil(W / stride)].

## Dtype
    Any that convolution and norm take; the norm's statistics in float32 for half precision.

## Cost
    A convolution, a norm and an activation.

## Source
    Ioffe & Szegedy 2015, section 3.2 (the bias is left out); He et al. 2015, equation 10 (fan_in).

## Helps against
    `missing-norm`, `vanishing-gradient`, `exploding-gradient`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from steadytrain.blocks._activation import Activation
from steadytrain.blocks._bounds import whole
from steadytrain.blocks._nonlinearity import Nonlinearity
from steadytrain.blocks._norm_kinds import NormKind, norm_of
from steadytrain.blocks.gains import gain_for
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique


class ConvNorm(nn.Module):
    """Convolution, norm and activation; the convolution has a bias only without a norm.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the filters, an odd number.
        stride: step between positions.
        groups: groups of channels that see each other only.
        norm: `"group"`, `"batch"`, `"sync-batch"`, `"layer"`, `"instance"` or `"none"`.
        activation: a name ("relu"), a module, a class of modules, an elementwise function, or
            None for none.

    Shape:
        [N, C_in, H, W] -> [N, C_out, ceil(H / stride), ceil(W / stride)].

    Raises:
        UnknownNameError: there is no such norm or activation.
        UsageError: a size is out of range, the kernel even, or the groups do not divide.

    Example:
        >>> ConvNorm(3, 16, norm="batch").conv.bias is None
        True
        >>> ConvNorm(3, 16, stride=2)(torch.randn(2, 3, 9, 9)).shape
        torch.Size([2, 16, 5, 5])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        *,
        groups: int = 1,
        norm: NormKind = "group",
        activation: Activation | type[nn.Module] | None = "relu",
    ) -> None:
        super().__init__()
        _check(in_channels, out_channels, kernel_size, whole("groups", groups))
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            whole("stride", stride),
            padding=kernel_size // 2,
            groups=groups,
            bias=norm == "none",
        )
        self.norm = norm_of(norm, out_channels, "images")
        self.activation = nn.Identity() if activation is None else Nonlinearity(activation)
        self._initialize(1.0 if activation is None else gain_for(self.activation))

    def forward(self, x: Tensor) -> Tensor:
        """The activation of the normalised convolution of `x`."""
        return self.activation(self.norm(self.conv(x)))

    @torch.no_grad()
    def _initialize(self, gain: float) -> None:
        nn.init.normal_(self.conv.weight, std=gain * self.conv.weight[0].numel() ** -0.5)
        if self.conv.bias is not None:
            nn.init.zeros_(self.conv.bias)


def _check(in_channels: int, out_channels: int, kernel_size: int, groups: int) -> None:
    if whole("kernel_size", kernel_size) % 2 == 0:
        msg = f"kernel_size must be odd, got {kernel_size}: an even one has no centre"
        raise UsageError(f"{msg} and would change the image's size. Try {kernel_size + 1}.")
    for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
        if whole(name, channels) % groups:
            msg = f"groups must divide {name}, got {groups} groups for {channels} channels"
            raise UsageError(f"{msg}: choose a divisor of both in_channels and out_channels.")


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("ConvNorm",),
    samples=tuple(
        Sample(
            build=lambda norm=norm: ConvNorm(4, 6, norm=norm),
            inputs=lambda: (torch.randn(2, 4, 5, 5),),
        )
        for norm in ("group", "batch", "layer", "none")
    ),
)
