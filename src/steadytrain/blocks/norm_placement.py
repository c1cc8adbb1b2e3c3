"""One residual block around any branch, with a switch for where its norms stand.

## Formula
    pre        x + s f(N(x))          the stream is never normalised; needs a last norm
    post       N(x + s f(x))          as in the first transformer; needs warm-up when deep
    sandwich   x + s N2(f(N1(x)))     each branch adds the same, whatever its weights became
    reordered  x + s N(f(x))          the same with one norm
    deepnorm   N(alpha x + s f(x))    post for a thousand layers, alpha = (2 layers)^(1/4)
    with s = `branch_scale`, 1 unless told.

## Shape
    The branch's first argument and its output have one shape; N is over the last `dim` features.

## Dtype
    Any floating dtype in, the same out, as far as branch and norm keep it.

## Cost
    The branch and one norm, two for `sandwich`.

## Source
    pre, post: Xiong et al. 2020; sandwich: Ding et al. 2021 (CogView), Kim et al. 2025 (Peri-LN);
    reordered: Liu et al. 2022 (Swin v2), OLMo 2 2025; deepnorm: Wang et al. 2022, table 1, whose
    initialisation belongs to it.

## Helps against
    `post-norm-depth`, `residual-growth`, `missing-warmup`, `exploding-gradient`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from steadytrain.blocks._bounds import finite, positive
from steadytrain.blocks._residual_sum import residual_sum
from steadytrain.blocks.drop_path import StochasticDepth
from steadytrain.blocks.rms_norm import RMSNorm
from steadytrain.core.errors import UnknownNameError, UsageError
from steadytrain.core.technique import Sample, technique

Placement = Literal["pre", "post", "sandwich", "reordered", "deepnorm"]

_PLACES: Final[dict[str, tuple[str, ...]]] = {
    "pre": ("norm_input",),
    "post": ("norm_sum",),
    "sandwich": ("norm_input", "norm_branch"),
    "reordered": ("norm_branch",),
    "deepnorm": ("norm_sum",),
}


class NormPlacement(nn.Module):
    """A residual block whose norms stand where `placement` says.

    Args:
        branch: any module that keeps its first argument's shape; further arguments go to it.
        dim: number of features that the norms are over.
        placement: `"pre"`, `"post"`, `"sandwich"`, `"reordered"` or `"deepnorm"`.
        norm: makes a norm from a number of features, such as `nn.LayerNorm`.
        branch_scale: share of the branch in the sum; see `ScaledResidual`.
        alpha: factor of the shortcut, for `"deepnorm"` only and required there: (2 layers)^(1/4)
            in a network of encoder or decoder layers alone; see `deepnorm_constants`.
        drop_path: rate at which training leaves the (normalised) branch out of a sample.

    Shape:
        As the branch's first argument, [..., dim] for norms over features.

    Raises:
        UnknownNameError: there is no such placement.
        UsageError: `alpha` is missing, out of range, or given to another placement; or another
            number is out of range.

    Example:
        >>> block = NormPlacement(nn.Linear(8, 8), 8, "sandwich")
        >>> block(torch.randn(2, 5, 8)).shape
        torch.Size([2, 5, 8])
        >>> from steadytrain.blocks import deepnorm_constants
        >>> alpha = deepnorm_constants(num_layers=24).alpha
        >>> deep = NormPlacement(nn.Linear(8, 8), 8, "deepnorm", alpha=alpha)
    """

    norm_input: nn.Module
    norm_branch: nn.Module
    norm_sum: nn.Module

    def __init__(
        self,
        branch: nn.Module,
        dim: int,
        placement: Placement = "pre",
        *,
        norm: Callable[[int], nn.Module] = RMSNorm,
        branch_scale: float = 1.0,
        alpha: float | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        if placement not in _PLACES:
            raise UnknownNameError.build("placement", placement, _PLACES)
        _check_alpha(placement, alpha)
        self.placement = placement
        self.branch = branch
        self.branch_scale = finite("branch_scale", branch_scale)
        self.alpha = 1.0 if alpha is None else positive("alpha", alpha)
        self.drop_path = StochasticDepth(drop_path)
        for place in ("norm_input", "norm_branch", "norm_sum"):
            self.add_module(place, norm(dim) if place in _PLACES[placement] else nn.Identity())

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The block's output; further arguments go to the branch."""
        change = self.norm_branch(self.branch(self.norm_input(x), *args, **kwargs))
        # after the norm, which would take out the factor that keeps the expectation
        change = self.drop_path(change)
        shortcut = x if self.alpha == 1.0 else self.alpha * x
        scaled = change if self.branch_scale == 1.0 else self.branch_scale * change
        return self.norm_sum(residual_sum(shortcut, scaled))

    def extra_repr(self) -> str:
        alpha = f", alpha={self.alpha:.4g}" if self.placement == "deepnorm" else ""
        return f"{self.placement}, branch_scale={self.branch_scale:.4g}{alpha}"


def _check_alpha(placement: str, alpha: float | None) -> None:
    if placement == "deepnorm" and alpha is None:
        msg = "placement 'deepnorm' needs alpha, the shortcut's factor, got None: expected"
        raise UsageError(f"{msg} that of deepnorm_constants(num_layers).")
    if placement != "deepnorm" and alpha is not None:
        msg = f"alpha belongs to placement 'deepnorm', got {alpha} with {placement!r}"
        raise UsageError(f"{msg}: leave it out, or scale the branch with branch_scale.")


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("NormPlacement",),
    samples=tuple(
        Sample(
            build=lambda placement=placement: NormPlacement(nn.Linear(8, 8), 8, placement),
            inputs=lambda: (torch.randn(2, 3, 8),),
            double_backward=True,
        )
        for placement in ("pre", "post", "sandwich", "reordered")
    ),
)
