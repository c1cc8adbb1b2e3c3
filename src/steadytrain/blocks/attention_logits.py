"""The largest attention logit of every head, among those that count: what precedes divergence.

## Formula
    S_max[h] = max over batch, queries and the keys they may see of scale * q . k + bias

## Shape
    query [..., heads, queries, width], key [..., kv heads, keys, width] -> [heads]

## Dtype
    Computed and returned in at least float32.

## Cost
    The matrix product of attention without its softmax, chunk by chunk of the queries, and
    memory for one chunk of logits. No gradient, no synchronisation. Measure it on sampled steps.

## Source
    Dehghani et al. 2023 and Wortsman et al. 2023 (the maximum predicts the divergence of larger
    models); Kimi team 2025, "Kimi K2" (its use in QK-clip). Masked logits are left out: they
    act on nothing, and under a causal mask they are the half that nothing keeps small.

## Helps against
    `attention-logits-too-large`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from steadytrain.blocks._bounds import whole
from steadytrain.blocks._float32 import at_least_float32, outside_autocast
from steadytrain.blocks._masks import Masks, attended
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique


@torch.no_grad()
def max_attention_logit(
    query: Tensor,
    key: Tensor,
    *,
    mask: Masks = None,
    key_padding_mask: Tensor | None = None,
    is_causal: bool = False,
    bias: Tensor | None = None,
    scale: float | None = None,
    chunk_size: int = 256,
) -> Tensor:
    """The largest logit per head; minus infinity for a head that may see nothing, NaN if one is.

    Give it what the attention was given; soft cap and dropout come after the logits.

    Args:
        query: as in `safe_attention`, after qk-norm and rotary embedding.
        key: alike; of fewer heads where several query heads share one.
        mask: boolean, True = attend.
        key_padding_mask: boolean, True = padding.
        is_causal: query i sees keys 0 to i.
        bias: what is added to the logits.
        scale: of the logits; 1 / sqrt(width) if None.
        chunk_size: queries whose logits are in memory at once.

    Raises:
        UsageError: there is no dimension of heads, the heads cannot share the key heads, a mask
            does not fit.

    Shape:
        As above.

    Example:
        >>> query = torch.tensor([[[1.0, 0.0], [2.0, 0.0]]])  # one head, two queries
        >>> key = torch.tensor([[[3.0, 0.0], [50.0, 0.0]]])
        >>> max_attention_logit(query, key, scale=1.0)
        tensor([100.])
        >>> max_attention_logit(query, key, scale=1.0, mask=torch.tensor([True, False]))
        tensor([6.])
    """
    whole("chunk_size", chunk_size)
    shared = _shared_by(query, key)
    wide = at_least_float32(query.dtype)
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    keys = key.repeat_interleave(shared, dim=-3).to(wide).mT
    scores = (*query.shape[:-1], key.shape[-2])
    attend = attended(
        query, key, mask=mask, key_padding_mask=key_padding_mask, is_causal=is_causal, bias=bias
    )
    attend = None if attend is None else attend.expand(scores)
    bias = None if bias is None else bias.expand(scores)
    largest = query.new_full(query.shape[-3:-2], -math.inf, dtype=wide)
    for start in range(0, query.shape[-2] if key.shape[-2] else 0, chunk_size):
        rows = slice(start, start + chunk_size)
        with outside_autocast(query.device):
            logits = (query[..., rows, :].to(wide) * factor) @ keys
        if bias is not None:
            logits = logits + bias[..., rows, :]
        if attend is not None:
            logits = logits.masked_fill(~attend[..., rows, :], -math.inf)
        largest = torch.maximum(largest, _per_head(logits))
    return largest


def _per_head(logits: Tensor) -> Tensor:
    others = [dim for dim in range(logits.dim()) if dim != logits.dim() - 3]
    return logits.amax(dim=others)


def _shared_by(query: Tensor, key: Tensor) -> int:
    """How many query heads share a key head."""
    if query.dim() < 3 or key.dim() != query.dim():
        msg = f"queries and keys must be [..., heads, length, width], got {list(query.shape)}"
        raise UsageError(f"{msg} and {list(key.shape)}: split the projections into heads.")
    heads, kv_heads = query.shape[-3], key.shape[-3]
    if not kv_heads or heads % kv_heads:
        msg = f"{heads} query heads cannot share {kv_heads} key heads evenly"
        raise UsageError(f"{msg}: the number of key heads must divide that of query heads.")
    return heads // kv_heads


def _beside_its_query(query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    """The measurement has no gradient; the query beside it has."""
    return query, max_attention_logit(query, key, is_causal=True, chunk_size=2)


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("max_attention_logit",),
    samples=(
        Sample(
            build=lambda: _beside_its_query,
            inputs=lambda: (torch.randn(2, 4, 5, 8), torch.randn(2, 2, 5, 8)),
        ),
    ),
)
