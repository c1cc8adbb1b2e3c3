"""A convolution whose filters have mean zero and a known size, whatever the optimizer made of them.

Without a norm on the activations, a filter's mean shifts every output by the mean of its inputs,
which rectified inputs have, and the shifts add up with depth. Taking the mean out of the weights
removes the shift at no cost in batch size.

## Formula
    w_hat = gain * (w - mean) / sqrt(max(var * fan_in, eps)), per output channel; var is biased,
    gain learnable, 1 at the start. fan_in = in_channels / groups * kernel positions: the
    weights of ONE output channel (taking all of the tensor's makes the filters smaller by the
    root of the number of channels).

## Shape
    As `torch.nn.Conv2d`: [N, C_in, H, W] -> [N, C_out, H', W'].

## Dtype
    Any that the convolution takes; the standardisation is done in float32 for half precision.

## Cost
    One read and write of the weights per forward pass; nothing per activation.

## Source
    Qiao et al. 2019, section 2; scaled form, gain and eps 1e-4 from Brock et al. 2021 (NFNets),
    section 2 and their public code.

## Helps against
    `missing-norm`, `batchnorm-small-batch`, `exploding-gradient`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from steadytrain.blocks._bounds import positive, whole
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique


class WeightStandardizedConv2d(nn.Conv2d):
    """A `torch.nn.Conv2d` that convolves with its standardised weights.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: height and width of the filters.
        stride: step between positions.
        padding: zeros added on each side.
        dilation: distance between the filter's taps.
        groups: groups of channels that see each other only.
        bias: whether each output channel has a learnable shift.
        eps: floor of variance times fan-in.

    Shape:
        [N, C_in, H, W] -> [N, C_out, H', W'].

    Raises:
        UsageError: a filter has one weight only, so that it would be zero for ever; the groups do
            not divide the channels; or `eps` is not above zero.

    Example:
        >>> conv = WeightStandardizedConv2d(8, 4, 3, padding=1)
        >>> bool(conv.standardized().sum(dim=(1, 2, 3)).abs().max() < 1e-5)
        True
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        eps: float = 1e-4,
    ) -> None:
        _check_groups(whole("in_channels", in_channels), whole("groups", groups))
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias
        )
        if self.weight[0].numel() < 2:
            msg = f"weight standardisation needs filters of at least 2 weights, got 1 ({self})"
            raise UsageError(f"{msg}: minus its mean, one weight is 0. Use a plain Conv2d here.")
        self.eps = positive("eps", eps)
        self.gain = nn.Parameter(torch.ones(out_channels))
        nn.init.normal_(self.weight, std=self.weight[0].numel() ** -0.5)

    def standardized(self) -> Tensor:
        """The weights that the convolution uses."""
        wide = self.weight.float() if self.weight.itemsize < 4 else self.weight
        var, mean = torch.var_mean(wide, dim=(1, 2, 3), correction=0, keepdim=True)
        size = (var * self.weight[0].numel()).clamp(min=self.eps)
        gain = self.gain.to(wide.dtype).view(-1, 1, 1, 1)
        return ((wide - mean) * (gain * size.rsqrt())).to(self.weight.dtype)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the parent's name
        """The convolution of `input` with the standardised weights."""
        return self._conv_forward(input, self.standardized(), self.bias)


def _check_groups(in_channels: int, groups: int) -> None:
    if in_channels % groups:
        msg = f"groups must divide in_channels, got {groups} groups for {in_channels} channels"
        raise UsageError(f"{msg}: choose one of its divisors.")


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("WeightStandardizedConv2d",),
    samples=(
        Sample(
            build=lambda: WeightStandardizedConv2d(4, 6, 3, padding=1),
            inputs=lambda: (torch.randn(2, 4, 5, 5),),
            double_backward=True,
        ),
    ),
)
