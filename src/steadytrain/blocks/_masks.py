"""Which query may see which key: every restriction as one boolean tensor, True = attend.

Masks are combined before anything is added to a logit. Added masks overflow (the lowest number
plus a bias is minus infinity, and a row of those is NaN), and a lowest number instead of minus
infinity turns a row with nothing left into uniform attention over padding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from steadytrain.core.errors import UsageError

Masks = Tensor | Sequence[Tensor | None] | None
"""One boolean mask, several, or none."""


def combine_masks(*masks: Tensor | None) -> Tensor | None:
    """One mask that is True where every given mask is; None where none is given.

    Args:
        masks: boolean, True = attend; None among them restricts nothing.

    Raises:
        UsageError: a mask is not boolean, or shapes do not broadcast together.

    Shape:
        All broadcast together, as do the masks of `scaled_dot_product_attention`.

    Example:
        >>> causal = torch.ones(3, 3, dtype=torch.bool).tril()
        >>> padding = torch.tensor([True, True, False])
        >>> combine_masks(causal, None, padding).int().tolist()
        [[1, 0, 0], [1, 1, 0], [1, 1, 0]]
    """
    combined: Tensor | None = None
    for mask in masks:
        if mask is not None:
            _check_boolean(mask)
            combined = mask if combined is None else _both(combined, mask)
    return combined


def attended(
    query: Tensor,
    key: Tensor,
    *,
    mask: Masks = None,
    key_padding_mask: Tensor | None = None,
    is_causal: bool = False,
    bias: Tensor | None = None,
) -> Tensor | None:
    """All restrictions on these logits in one mask that broadcasts to them; None if there are none."""
    given = combine_masks(*((mask,) if mask is None or isinstance(mask, Tensor) else mask))
    scores = (*query.shape[:-1], key.shape[-2])
    if given is not None:
        _check_fits("mask", given, scores)
    open_keys = None
    if key_padding_mask is not None:
        open_keys = ~padded_keys(key, key_padding_mask).mT
    causal = None
    if is_causal:
        causal = torch.ones(scores[-2:], dtype=torch.bool, device=query.device).tril()
    finite = None
    if bias is not None:
        _check_bias(bias, scores)
        # written so that NaN counts as attended and stays visible in the output
        finite = ~(bias <= torch.finfo(bias.dtype).min)
    return combine_masks(given, open_keys, causal, finite)


def padded_keys(key: Tensor, key_padding_mask: Tensor) -> Tensor:
    """The padding mask as it broadcasts to the keys: `[batch, 1, ..., keys, 1]`, True = padding."""
    batch = key.shape[:1] if key.dim() > 2 else key.shape[:0]
    expected = (*batch, key.shape[-2])
    if key_padding_mask.dtype != torch.bool:
        msg = f"key_padding_mask must be boolean (True = padding), got {key_padding_mask.dtype}"
        raise UsageError(
            f"{msg}. From 1 = token, 0 = padding, write: key_padding_mask=tokens == 0."
        )
    if key_padding_mask.shape != expected:
        msg = f"key_padding_mask must have shape [batch, keys] = {list(expected)}"
        raise UsageError(f"{msg}, got {list(key_padding_mask.shape)}.")
    between = (1,) * max(key.dim() - 3, 0)
    return key_padding_mask.reshape(*batch, *between, key.shape[-2], 1)


def broadcasts_to(given: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether a tensor of shape `given` expands to `wanted` without making that any larger."""
    sizes = zip(reversed(given), reversed(wanted), strict=False)
    return len(given) <= len(wanted) and all(size in (1, full) for size, full in sizes)


def _both(one: Tensor, other: Tensor) -> Tensor:
    try:
        return one & other
    except RuntimeError as error:
        msg = f"masks of shape {list(one.shape)} and {list(other.shape)} do not broadcast together"
        raise UsageError(f"{msg}: give each as [..., queries, keys].") from error


def _check_boolean(mask: Tensor) -> None:
    if mask.dtype == torch.bool:
        return
    msg = f"a mask must be boolean (True = attend), got {mask.dtype}"
    if mask.is_floating_point():
        msg = f"{msg}: numbers to add to the logits go in bias=; of 0 and minus infinity, make"
        raise UsageError(f"{msg} the mask with: mask=numbers == 0.")
    raise UsageError(f"{msg}. Of 1 = attend and 0 = not, make it with: mask=numbers != 0.")


def _check_bias(bias: Tensor, scores: tuple[int, ...]) -> None:
    if not bias.is_floating_point():
        msg = f"bias must be floating numbers to add to the logits, got {bias.dtype}"
        raise UsageError(f"{msg}: who may attend to whom goes in mask=, boolean, True = attend.")
    _check_fits("bias", bias, scores)


def _check_fits(name: str, given: Tensor, scores: tuple[int, ...]) -> None:
    if broadcasts_to(given.shape, scores):
        return
    msg = f"{name} must broadcast to the logits [..., queries, keys] = {list(scores)}"
    msg = f"{msg}, got {list(given.shape)}"
    raise UsageError(f"{msg}. A [batch, keys] mask of padding goes in key_padding_mask=.")
