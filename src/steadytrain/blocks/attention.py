"""Attention in which a query that may see nothing gets exact zeros, and poisons nothing.

## Formula
    softmax(scale * Q K^T + bias, over the keys that may be seen) V, and 0 where there are none.
    With a soft cap the logits are cap * tanh(scale * Q K^T / cap) before bias and mask.

## Shape
    query [..., heads, queries, width], key [..., kv heads, keys, width], value [..., kv heads,
    keys, value width] -> [..., heads, queries, value width]. Masks and bias broadcast to
    [..., heads, queries, keys]; key_padding_mask is [batch, keys].

## Dtype
    float16, bfloat16, float32, float64; the result has the query's (under autocast, autocast's).
    With a soft cap, logits and softmax are computed in at least float32.

## Cost
    Without mask, bias and cap: torch's own call and nothing else. With them: one pass over the
    mask, one over the queries and the output; with key_padding_mask also over keys and values.
    A soft cap has no fused kernel in torch: it stores the logits, [..., queries, keys].
    Never synchronises. Gradients of gradients only where torch's kernel has them (its "math").

## Source
    torch.nn.functional.scaled_dot_product_attention, whose conventions of masks these are;
    key_padding_mask as in torch.nn.MultiheadAttention (True = padding). Depending on version and
    kernel, torch gives NaN for a row with nothing to see, and NaN in padding spreads.
    Soft cap: Gemma team 2024.

## Helps against
    `fully-masked-row`, `attention-logits-too-large` (the soft cap) and `exp-overflow`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from steadytrain.blocks._bounds import positive, share
from steadytrain.blocks._float32 import at_least_float32, computing_dtype, outside_autocast
from steadytrain.blocks._masks import Masks, attended, combine_masks, padded_keys
from steadytrain.blocks.logit_cap import soft_cap as capped
from steadytrain.core.technique import Sample, technique

__all__ = ["TECHNIQUE", "combine_masks", "safe_attention"]


def safe_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Masks = None,
    *,
    key_padding_mask: Tensor | None = None,
    is_causal: bool = False,
    bias: Tensor | None = None,
    dropout: float = 0.0,
    scale: float | None = None,
    soft_cap: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """What `scaled_dot_product_attention` gives, and zeros where a query may see no key.

    Such a query gets zero gradient and sends none to keys and values, even where it, or a padded
    key or value, is NaN.

    Args:
        query: what asks.
        key: what is asked; with `enable_gqa`, of fewer heads.
        value: what is answered.
        mask: boolean, True = attend; several as a sequence, all of which must allow it.
        key_padding_mask: boolean, True = this key is padding.
        is_causal: query i sees keys 0 to i; together with any mask.
        bias: added to the logits, learned or not. Minus infinity and the lowest number of its
            dtype mean "not to be seen".
        dropout: the share of attention weights dropped. Give 0 in evaluation.
        scale: of the logits; 1 / sqrt(width) if None.
        soft_cap: the bound of the logits, if any.
        enable_gqa: share each key head among several query heads.

    Raises:
        UsageError: a mask is not boolean or does not fit, dropout is no share, the cap no bound.

    Shape:
        As above.

    Example:
        >>> query = key = value = torch.ones(1, 2, 3, 4)
        >>> padding = torch.tensor([[True, True, True]])
        >>> safe_attention(query, key, value, key_padding_mask=padding).abs().max().item()
        0.0
    """
    share("dropout", dropout)
    if soft_cap is not None:
        positive("soft_cap", soft_cap)
    core = _Core(dropout, scale, soft_cap, enable_gqa)
    if soft_cap is None and mask is None and key_padding_mask is None and bias is None:
        return core(query, key, value, None, is_causal=is_causal)
    attend = attended(
        query, key, mask=mask, key_padding_mask=key_padding_mask, is_causal=is_causal, bias=bias
    )
    if attend is None:
        return core(query, key, value, None)
    if key_padding_mask is not None:
        padding = padded_keys(key, key_padding_mask)
        key, value = key.masked_fill(padding, 0.0), value.masked_fill(padding, 0.0)
    # such a row sees every key, so that nothing in it is 0 / 0, and is zero before and after
    sees_nothing = ~attend.any(dim=-1, keepdim=True)
    allowed = attend | sees_nothing
    if bias is not None:
        fitting = _fitting(bias, core.dtype_of_logits(query)).masked_fill(sees_nothing, 0.0)
        allowed = fitting.masked_fill(~(attend | sees_nothing), -math.inf)
    output = core(query.masked_fill(sees_nothing, 0.0), key, value, allowed)
    return output.masked_fill(sees_nothing, 0.0)


class _Core(NamedTuple):
    """Attention under restrictions that leave every row something to see."""

    dropout: float
    scale: float | None
    soft_cap: float | None
    enable_gqa: bool

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        allowed: Tensor | None,
        is_causal: bool = False,
    ) -> Tensor:
        if self.soft_cap is None:
            return functional.scaled_dot_product_attention(
                query,
                key,
                value,
                allowed,
                self.dropout,
                is_causal,
                scale=self.scale,
                enable_gqa=self.enable_gqa,
            )
        if self.enable_gqa:
            key, value = _shared(key, query), _shared(value, query)
        weights = _capped_weights(query, key, allowed, self.scale, self.soft_cap)
        return functional.dropout(weights, self.dropout).to(value.dtype) @ value

    def dtype_of_logits(self, query: Tensor) -> torch.dtype:
        if self.soft_cap is None:
            return computing_dtype(query.dtype, query.device)
        return at_least_float32(query.dtype)


def _fitting(bias: Tensor, dtype: torch.dtype) -> Tensor:
    """The bias in `dtype`, its numbers beyond the range at the ends of it instead of infinite."""
    if bias.dtype == dtype:
        return bias
    limits = torch.finfo(dtype)
    wider = bias.to(torch.promote_types(bias.dtype, dtype))
    return wider.clamp(limits.min, limits.max).to(dtype)


def _capped_weights(
    query: Tensor, key: Tensor, allowed: Tensor | None, scale: float | None, cap: float
) -> Tensor:
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    wide = at_least_float32(query.dtype)
    with outside_autocast(query.device):
        logits = capped((query.to(wide) * factor) @ key.to(wide).mT, cap)
        if allowed is not None and allowed.dtype == torch.bool:
            logits = logits.masked_fill(~allowed, -math.inf)
        elif allowed is not None:
            logits = logits + allowed
        return logits.softmax(dim=-1)


def _shared(tensor: Tensor, query: Tensor) -> Tensor:
    """The key heads, each as often as query heads share it."""
    return tensor.repeat_interleave(query.shape[-3] // tensor.shape[-3], dim=-3)


def _some_tensors() -> tuple[Tensor, ...]:
    return tuple(torch.randn(2, 2, 5, 8) for _ in range(3))


def _with_an_empty_row(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    mask = torch.ones(5, 5, dtype=torch.bool).tril(-1)
    return safe_attention(query, key, value, mask=mask)


def _capped_and_padded(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    padding = torch.tensor([[False] * 5, [True] * 5])
    return safe_attention(
        query, key, value, key_padding_mask=padding, is_causal=True, soft_cap=50.0
    )


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("safe_attention", "combine_masks"),
    samples=(
        Sample(build=lambda: _with_an_empty_row, inputs=_some_tensors),
        Sample(build=lambda: _capped_and_padded, inputs=_some_tensors, double_backward=True),
    ),
)
