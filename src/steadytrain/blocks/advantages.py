"""Advantages are brought to mean zero and deviation one, also where there is nothing to divide by.

## Formula
    (A - mean(A)) / (std(A) + eps) over the entries that count, on all ranks together;
    std with n - 1, as torch's, and 0 for one entry

## Shape
    Any; mask broadcasts to it. The result has the same.

## Dtype
    Statistics in float64 (float32 on devices without it), result in the input's dtype. Half
    precision could hold neither eps nor a sum of squares.

## Cost
    A few passes over the advantages and, among ranks, two reductions of a few numbers. The
    search for non-finite entries waits for the device once; `nonfinite="keep"` does not.

## Source
    Common practice of PPO (Schulman et al. 2017; Engstrom et al. 2020, "Implementation
    Matters"), with eps 1e-8. Written with torch's std, one entry gives NaN; and where all are
    equal, the rounding of the mean divided by its own deviation gives noise of size one.

## Helps against
    `reward-scale` and `div-by-zero`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from steadytrain.blocks._bounds import positive
from steadytrain.blocks._masks import broadcasts_to
from steadytrain.blocks._ranks import over_ranks
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

_NAMED = 3
"""Non-finite entries that the error names; the rest it counts."""


def normalize_advantages(
    advantages: Tensor,
    mask: Tensor | None = None,
    eps: float = 1e-8,
    group: ProcessGroup | None = None,
    *,
    nonfinite: Literal["raise", "keep"] = "raise",
) -> Tensor:
    """Advantages of mean zero and deviation one; zeros where they are all equal, or one, or masked.

    Normalise the minibatch that the loss sees. Where `torch.distributed` is initialised, every
    rank must call it; one with no entries takes part and gets none back. To autograd the
    statistics are constants.

    Args:
        advantages: of any shape.
        mask: boolean, True = this entry counts; the others come out as zero, whatever they are.
        eps: added to the deviation.
        group: the ranks that share the statistics; all, if None.
        nonfinite: "raise" names NaN and infinite entries that count, on every rank; "keep"
            leaves them as they are and out of the statistics.

    Raises:
        UsageError: non-finite entries, a mask that is not boolean or does not fit, advantages
            that are not floating, an `eps` that is not positive.

    Shape:
        As above.

    Example:
        >>> normalize_advantages(torch.tensor([1.0, 2.0, 3.0]))
        tensor([-1.,  0.,  1.])
        >>> normalize_advantages(torch.tensor([5.0]))
        tensor([0.])
    """
    _check(advantages, mask, eps, nonfinite)
    counts = torch.ones_like(advantages, dtype=torch.bool)
    if mask is not None:
        counts = mask.expand(advantages.shape)
    usable = counts & advantages.isfinite()
    dtype = torch.float32 if advantages.device.type == "mps" else torch.float64
    wide = advantages.to(dtype)
    if nonfinite == "raise":
        _refuse_nonfinite(counts & ~usable, group)
    shift, scale = _statistics(wide.detach(), usable, group)
    normalized = (wide - shift) / (scale + eps)
    return normalized.masked_fill(~counts, 0.0).to(advantages.dtype)


def _statistics(
    values: Tensor, usable: Tensor, group: ProcessGroup | None
) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the usable values of all ranks.

    Counted from the largest of them, so that equal values differ by exactly zero.
    """
    lowest = values.new_full((1,), -torch.inf)
    local = torch.cat([values.masked_fill(~usable, -torch.inf).flatten(), lowest]).amax()
    largest = over_ranks(local, "max", group)
    origin = torch.where(largest.isfinite(), largest, 0.0)
    apart = torch.where(usable, values - origin, 0.0)
    sums = torch.stack([usable.sum().to(values.dtype), apart.sum(), apart.square().sum()])
    count, total, squares = over_ranks(sums, "sum", group).unbind()
    mean = total / count.clamp_min(1.0)
    variance = (squares - total * mean) / (count - 1.0).clamp_min(1.0)
    return origin + mean, variance.clamp_min(0.0).sqrt()


def _refuse_nonfinite(bad: Tensor, group: ProcessGroup | None) -> None:
    here = bad.sum()
    # reduced, or the ranks without one would wait for ever for those that raise
    if not over_ranks(here, "max", group):
        return
    places = bad.nonzero()[:_NAMED].tolist()
    if not places:
        msg = "advantages on another rank are not finite"
    else:
        named = ", ".join(str(place) for place in places)
        msg = f"{int(here)} of {bad.numel()} advantages are not finite, at {named}"
        msg = msg if here <= _NAMED else f"{msg} and others"
    raise UsageError(f"{msg}: look at the rewards and the value function, or mask them.")


def _check(advantages: Tensor, mask: Tensor | None, eps: float, nonfinite: str) -> None:
    positive("eps", eps)
    if not advantages.is_floating_point():
        raise UsageError(f"advantages must be floating, got {advantages.dtype}: write .float().")
    if nonfinite not in ("raise", "keep"):
        raise UsageError(f"nonfinite must be 'raise' or 'keep', got {nonfinite!r}.")
    if mask is not None and mask.dtype != torch.bool:
        msg = f"mask must be boolean (True = counts), got {mask.dtype}"
        raise UsageError(f"{msg}: write mask=numbers != 0.")
    if mask is not None and not broadcasts_to(mask.shape, advantages.shape):
        msg = f"mask must broadcast to {list(advantages.shape)}, got {list(mask.shape)}"
        raise UsageError(f"{msg}: one boolean per advantage.")


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("normalize_advantages",),
    samples=(
        Sample(
            build=lambda: (
                lambda advantages, mask: normalize_advantages(advantages, mask, nonfinite="keep")
            ),
            inputs=lambda: (torch.randn(4, 6), torch.rand(4, 6) > 0.3),
            double_backward=True,
        ),
    ),
)
