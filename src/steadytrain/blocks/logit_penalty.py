"""The z-loss holds the logits' normaliser near one, so that logits do not drift out of range.

## Formula
    weight * sum_i(w_i * logsumexp(logits_i)^2) / sum_i(w_i), over the positions i that count

## Shape
    logits [..., classes]; mask and token_weights broadcast to [...]. The result is one number.

## Dtype
    Computed and returned in at least float32: exp overflows float32 above 88, the square of a
    logsumexp of 256 overflows float16.

## Cost
    One logsumexp and its slopes, with a mask or without; half-precision logits are copied to
    float32. No synchronisation.

## Source
    Chowdhery et al. 2022, "PaLM", section 5: weight 1e-4. For the logits of a router, Zoph et
    al. 2022, "ST-MoE": 1e-3. Wortsman et al. 2023, "Small-scale proxies for large-scale
    Transformer training instabilities": it removes the divergence of output logits.

## Helps against
    `exp-overflow` and `lr-too-high`; with a soft cap, logits beyond the cap still get a gradient.
"""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import Tensor

from steadytrain.blocks._float32 import at_least_float32
from steadytrain.blocks._masks import broadcasts_to
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique


def z_loss(
    logits: Tensor,
    weight: float = 1e-4,
    mask: Tensor | None = None,
    token_weights: Tensor | None = None,
    *,
    num_tokens: Tensor | float | None = None,
) -> Tensor:
    """The penalty to add to cross-entropy; zero, with zero gradients, when no position counts.

    Logits where the mask is False or the weight zero do not matter, not even as NaN.

    Args:
        logits: whole rows, before softmax and soft cap.
        weight: of the penalty in the loss.
        mask: boolean, True = this position counts.
        token_weights: how much each position counts, not negative.
        num_tokens: what to divide by in place of the sum of weights here: under accumulation
            the number of tokens of the whole window, or short microbatches count too much.

    Raises:
        UsageError: `weight` is negative or not finite, `num_tokens` not positive, the mask not
            boolean, or a shape does not fit.

    Shape:
        logits [..., classes]; mask, token_weights [...] or what broadcasts to it -> [].

    Example:
        >>> logits = torch.zeros(3, 10)
        >>> z_loss(logits, weight=1.0)  # (ln 10)^2
        tensor(5.3019)
        >>> z_loss(logits, mask=torch.tensor([False, False, False]))
        tensor(0.)
    """
    _check(logits, weight, mask, token_weights, num_tokens)
    counts = _counts(logits, mask, token_weights)
    wide = logits.to(at_least_float32(logits.dtype))
    if counts is None:
        squares = wide.logsumexp(dim=-1).square()
        return weight * (squares.sum() / _positive(num_tokens, squares.numel()))
    counts = counts.to(wide.dtype)
    normalizers = cast("Tensor", _NormalizersThatCount.apply(wide, counts == 0))
    total = (counts * normalizers.square()).sum()
    if num_tokens is not None:
        return weight * (total / num_tokens)
    return weight * (total / torch.where(counts.sum() > 0, counts.sum(), 1.0))


class _NormalizersThatCount(torch.autograd.Function):
    """logsumexp, zero with zero slopes where a position is dropped, whatever its logits are.

    Zero times the slope of a NaN is NaN, and a copy of the logits without the dropped ones would
    take as much memory again.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, dropped: Tensor) -> Tensor:
        return logits.logsumexp(dim=-1).masked_fill(dropped, 0.0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], output, inputs[1])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        logits, normalizers, dropped = ctx.saved_tensors
        probabilities = (logits - normalizers.unsqueeze(-1)).exp_()
        slopes = grads[0].unsqueeze(-1) * probabilities
        return slopes.masked_fill_(dropped.unsqueeze(-1), 0.0), None


def _counts(logits: Tensor, mask: Tensor | None, weights: Tensor | None) -> Tensor | None:
    """How much each position counts, in full shape; None where all count alike."""
    if mask is None and weights is None:
        return None
    counts = weights if mask is None else mask
    if mask is not None and weights is not None:
        counts = torch.where(mask, weights, 0.0)
    assert counts is not None
    return counts.expand(logits.shape[:-1])


def _positive(num_tokens: Tensor | float | None, here: int) -> Tensor | float:
    return max(here, 1) if num_tokens is None else num_tokens


def _check(
    logits: Tensor,
    weight: float,
    mask: Tensor | None,
    token_weights: Tensor | None,
    num_tokens: Tensor | float | None,
) -> None:
    if not logits.is_floating_point() or logits.dim() == 0:
        msg = f"logits must be floating, [..., classes], got {logits.dtype} {list(logits.shape)}"
        raise UsageError(f"{msg}: give the scores that go into cross-entropy.")
    if not 0.0 <= weight < math.inf:
        msg = f"the weight of the z-loss must be finite and not negative, got {weight}"
        raise UsageError(f"{msg}. Try 1e-4.")
    if isinstance(num_tokens, int | float) and not 0 < num_tokens < math.inf:
        raise UsageError(f"num_tokens must be positive, got {num_tokens}: the window's tokens.")
    if mask is not None and mask.dtype != torch.bool:
        msg = f"mask must be boolean (True = counts), got {mask.dtype}"
        raise UsageError(f"{msg}: numbers go in token_weights=; or write mask=numbers != 0.")
    for name, given in (("mask", mask), ("token_weights", token_weights)):
        if given is not None and not broadcasts_to(given.shape, logits.shape[:-1]):
            msg = f"{name} must broadcast to {list(logits.shape[:-1])}, got {list(given.shape)}"
            raise UsageError(f"{msg}: one number per position, none for the classes.")


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("z_loss",),
    samples=(
        Sample(
            build=lambda: lambda logits: z_loss(logits, weight=0.1),
            inputs=lambda: (100 * torch.randn(2, 5, 11),),
            double_backward=True,
        ),
        Sample(
            build=lambda: lambda logits, mask, weights: z_loss(logits, 0.1, mask, weights),
            inputs=lambda: (torch.randn(2, 5, 11), torch.rand(2, 5) > 0.5, torch.rand(2, 5)),
            double_backward=True,
        ),
    ),
)
