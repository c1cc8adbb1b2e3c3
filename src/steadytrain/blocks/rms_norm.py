"""Divide each feature vector by its root mean square, with an epsilon that is always written down.

`torch.nn.RMSNorm` without `eps` takes that of float32, 1.2e-7, whatever the data: features of
size 1e-5 then come out at 0.03, ten times what 1e-5 gives, and a nearly dead layer is amplified
into noise. Its kernel also leaves the fused path, with a warning, as soon as the weight has
another dtype than the input, which is what mixed precision makes of every model.

## Formula
    y = g * x / sqrt(mean(x^2) + eps), the mean over the last `dim` features; g starts at 1.

## Shape
    [..., dim] -> [..., dim].

## Dtype
    Any floating dtype in, the same out. The mean square is taken in float32 for float16 and
    bfloat16, inside the kernel, so that 6e4 in float16 does not overflow when squared; the same
    under autocast, where the output keeps the input's dtype too.

## Cost
    One read and one write of the input by torch's own kernel; no synchronisation.

## Source
    Zhang & Sennrich 2019, equation 4. eps 1e-5 as in LLaMA (Touvron et al. 2023, public code).

## Helps against
    `missing-norm`, `exploding-gradient`, `vanishing-gradient`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.blocks._bounds import positive, whole
from steadytrain.blocks._float32 import outside_autocast
from steadytrain.core.technique import Sample, technique


class RMSNorm(nn.RMSNorm):
    """`torch.nn.RMSNorm` whose epsilon is explicit and whose weight follows the input's dtype.

    Args:
        dim: number of features, or the sizes of the last dimensions.
        eps: added to the mean square, in the input's units squared.
        elementwise_affine: whether each feature has a learnable factor.
        device: where the weight is made.
        dtype: the weight's dtype.

    Shape:
        [..., dim] -> [..., dim].

    Raises:
        UsageError: `dim` holds no positive sizes, or `eps` is None, NaN or not above zero.

    Example:
        >>> norm = RMSNorm(4)
        >>> round(norm(torch.full((2, 4), 3.0))[0, 0].item(), 5)
        1.0
    """

    def __init__(
        self,
        dim: int | Sequence[int],
        eps: float = 1e-5,
        *,
        elementwise_affine: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        sizes = [whole("dim", size) for size in (dim if isinstance(dim, Sequence) else (dim,))]
        checked = positive("eps", eps)
        super().__init__(sizes, checked, elementwise_affine, device=device, dtype=dtype)

    def forward(self, x: Tensor) -> Tensor:
        """`x`, each vector with a root mean square of one, times the weight."""
        if _autocasts(x.device.type):
            # autocast of torch 2.12 on makes a float32 copy of the input; the kernel needs none
            with outside_autocast(x.device):
                return self._normalized(x)
        return self._normalized(x)

    def _normalized(self, x: Tensor) -> Tensor:
        weight = self.weight
        if weight is not None and weight.dtype != x.dtype:
            weight = weight.to(x.dtype)
        return functional.rms_norm(x, self.normalized_shape, weight, self.eps)


def _autocasts(device: str) -> bool:
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("RMSNorm",),
    samples=(
        Sample(
            build=lambda: RMSNorm(16),
            inputs=lambda: (torch.randn(3, 5, 16),),
            double_backward=True,
        ),
    ),
)
