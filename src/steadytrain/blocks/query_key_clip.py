"""QK-clip takes attention logits that grew too large back to a limit, by scaling the weights.

## Formula
    gamma_h = min(1, threshold / S_max[h]) for every head, after the optimizer's step;
    its key weights times c = gamma^(1 - balance), its query weights times gamma_h / c.
    Where several query heads share a key head, c is of the largest gamma among them: every
    head's logits are scaled by its own gamma and no weights grow. A key head that one of its
    query heads does not need smaller stays as it is.

## Shape
    query weight [heads * width, ...], key weight [kv heads * width, ...], max_logits [heads]

## Dtype
    The factors are computed in float32; the weights keep theirs.

## Cost
    One pass over the two weights, nothing else. No synchronisation on one device; among ranks
    one reduction of [heads] numbers, because every replica must scale alike.

## Source
    Kimi team 2025, "Kimi K2: Open Agentic Intelligence", section 2.1 (MuonClip): threshold 100,
    balance 0.5; parts that heads share stay untouched there as well.

## Helps against
    `attention-logits-too-large`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from steadytrain.blocks._bounds import positive, share, whole
from steadytrain.blocks._ranks import over_ranks
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

Projection = nn.Linear | Tensor | Sequence[Tensor]
"""A projection with its bias, its weight, or several tensors whose first dimension is its output."""


@torch.no_grad()
def qk_clip_(
    query: Projection,
    key: Projection,
    max_logits: Tensor,
    *,
    num_kv_heads: int | None = None,
    threshold: float = 100.0,
    balance: float = 0.5,
    group: ProcessGroup | None = None,
) -> Tensor:
    """Scale the projections in place, so that the same batch gives no logit above the threshold.

    A head whose largest logit is not finite is left alone: there is no factor that mends it.
    After qk-norm this does nothing, since the norm undoes any scale.

    Args:
        query: the query projection; of a fused one, give its rows: `qkv.weight[:width]`.
        key: the key projection, alike.
        max_logits: the largest logit of every query head that no mask hides, as
            `max_attention_logit` gives it; of all microbatches of the step the maximum.
        num_kv_heads: key heads, if fewer than query heads.
        threshold: the largest logit to allow.
        balance: the exponent's share that the queries take.
        group: the ranks that hold these same heads; all, if None.

    Raises:
        UsageError: the heads do not divide the rows, the threshold is not positive, the balance
            no share, or a weight is a DTensor.

    Shape:
        As above. Returns the factors gamma, [heads].

    Example:
        >>> query, key = torch.ones(4, 3), torch.ones(4, 3)
        >>> qk_clip_(query, key, torch.tensor([50.0, 400.0]))
        tensor([1.0000, 0.2500])
        >>> query[:, 0], key[:, 0]
        (tensor([1.0000, 1.0000, 0.5000, 0.5000]), tensor([1.0000, 1.0000, 0.5000, 0.5000]))
    """
    positive("threshold", threshold)
    share("balance", balance)
    heads = max_logits.numel()
    kv_heads = heads if num_kv_heads is None else whole("num_kv_heads", num_kv_heads)
    queries, keys = list(_rows(query, heads, "query")), list(_rows(key, kv_heads, "key"))
    if not heads or max_logits.dim() != 1 or heads % kv_heads:
        msg = f"max_logits must be [heads], a multiple of {kv_heads} key heads"
        raise UsageError(f"{msg}, got {list(max_logits.shape)}. See max_attention_logit.")
    gamma = _factors(max_logits, threshold, group)
    grouped = gamma.view(kv_heads, heads // kv_heads)
    on_keys = grouped.amax(dim=1, keepdim=True) ** (1.0 - balance)
    for rows in queries:
        _scale(rows, (grouped / on_keys).flatten())
    for rows in keys:
        _scale(rows, on_keys.flatten())
    return gamma


def _factors(max_logits: Tensor, threshold: float, group: ProcessGroup | None) -> Tensor:
    wide = max_logits.float()
    known = over_ranks(torch.where(wide.isfinite(), wide, -torch.inf), "max", group)
    return torch.where(known > threshold, threshold / known, 1.0)


def _scale(weights: Tensor, factors: Tensor) -> None:
    per_row = factors.repeat_interleave(weights.shape[0] // factors.numel())
    per_row = per_row.to(weights.device).reshape(-1, *(1,) * (weights.dim() - 1))
    weights.copy_(weights * per_row)


def _rows(projection: Projection, heads: int, name: str) -> Iterator[Tensor]:
    """The tensors of a projection, each checked to be made of whole heads."""
    tensors: Sequence[Tensor | None]
    if isinstance(projection, nn.Linear):
        tensors = (projection.weight, projection.bias)
    else:
        tensors = (projection,) if isinstance(projection, Tensor) else projection
    for tensor in tensors:
        if tensor is None:
            continue
        if hasattr(tensor, "device_mesh"):
            msg = f"the {name} weight is a DTensor, whose rows may lie on other ranks"
            raise UsageError(f"{msg}: clip its full_tensor() and distribute it again.")
        if not tensor.dim() or not heads or tensor.shape[0] % heads:
            msg = f"the rows of the {name} weight must be a multiple of {heads} heads"
            raise UsageError(f"{msg}, got {list(tensor.shape)}. Of a fused weight, give a slice.")
        yield tensor


def _clipped(query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    """The clip on copies, since the inputs of a sample are leaves."""
    query, key = query.clone(), key.clone()
    qk_clip_(query, key, torch.tensor([200.0, 50.0]))
    return query, key


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("qk_clip_",),
    samples=(
        Sample(build=lambda: _clipped, inputs=lambda: (torch.randn(8, 6), torch.randn(8, 6))),
    ),
)
