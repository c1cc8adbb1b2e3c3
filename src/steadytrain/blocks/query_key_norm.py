"""Queries and keys are normalised per head, so that attention logits cannot grow with the weights.

## Formula
    q' = g_q * q / sqrt(mean(q^2) + eps), k' alike; with kind "layer" the mean is taken off first.
    Before training |q' . k'| / sqrt(width) <= sqrt(width), whatever the projections do.

## Shape
    query [..., heads, queries, width] and key [..., kv heads, keys, width], each to its own.
    They go into scaled_dot_product_attention as they are, under its default scale.

## Dtype
    Statistics in at least float32, inside torch's kernels; results have the dtypes of the
    inputs, under autocast too.

## Cost
    Two of torch's fused norms over the width of a head per attention; no synchronisation.

## Source
    Henry et al. 2020, "Query-Key Normalization for Transformers" (L2); Dehghani et al. 2023,
    "Scaling Vision Transformers to 22 Billion Parameters" (LayerNorm without bias). Wortsman et
    al. 2023: it removes the divergence by attention-logit growth. Apply it before rotary
    embedding, which keeps lengths.

## Helps against
    `attention-logits-too-large` and `lr-too-high`.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.blocks._bounds import positive, whole
from steadytrain.blocks._float32 import outside_autocast
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique

Kind = Literal["rms", "layer"]


def qk_norm(
    query: Tensor,
    key: Tensor,
    *,
    kind: Kind = "rms",
    eps: float = 1e-6,
    query_gain: Tensor | None = None,
    key_gain: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Queries and keys of unit mean square along the width of a head, times the gains.

    Args:
        query: after its projection, split into heads.
        key: alike; it may have fewer heads.
        kind: "rms", or "layer" to take off the mean as well.
        eps: added to the mean square.
        query_gain: a factor per place of the width, or None for 1.
        key_gain: alike for the keys.

    Raises:
        UsageError: an unknown kind, an `eps` that is not positive, widths that differ.

    Shape:
        query [..., queries, width], key [..., keys, width], gains [width] -> query, key.

    Example:
        >>> query, key = qk_norm(1000 * torch.randn(2, 4, 8, 16), torch.randn(2, 4, 8, 16))
        >>> query.square().mean(dim=-1).allclose(torch.ones(2, 4, 8))
        True
    """
    _check_kind(kind)
    positive("eps", eps)
    if query.shape[-1] != key.shape[-1]:
        msg = f"queries and keys must have one width, got {query.shape[-1]} and {key.shape[-1]}"
        raise UsageError(f"{msg}: split the projections into heads first.")
    return _normalized(query, query_gain, kind, eps), _normalized(key, key_gain, kind, eps)


class QKNorm(nn.Module):
    """`qk_norm` with learned gains, one per place of the width, shared by the heads.

    Args:
        head_dim: the width of one head.
        kind: "rms", or "layer" to take off the mean as well.
        eps: added to the mean square.
        learned: False for no gains.

    Raises:
        UsageError: `head_dim` is no whole number from 1 on, `eps` not positive, `kind` unknown.

    Shape:
        query [..., queries, head_dim], key [..., keys, head_dim] -> query, key.

    Example:
        >>> norm = QKNorm(16)
        >>> query, key = norm(torch.randn(2, 4, 8, 16), torch.randn(2, 1, 8, 16))
        >>> query.shape, key.shape
        (torch.Size([2, 4, 8, 16]), torch.Size([2, 1, 8, 16]))
    """

    def __init__(
        self, head_dim: int, *, kind: Kind = "rms", eps: float = 1e-6, learned: bool = True
    ) -> None:
        super().__init__()
        _check_kind(kind)
        self.head_dim = whole("head_dim", head_dim)
        self.kind: Kind = kind
        self.eps = positive("eps", eps)
        self.query_gain = nn.Parameter(torch.ones(head_dim)) if learned else None
        self.key_gain = nn.Parameter(torch.ones(head_dim)) if learned else None

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        for name, given in (("queries", query), ("keys", key)):
            if given.shape[-1] != self.head_dim:
                msg = f"{name} must have width {self.head_dim}, got {list(given.shape)}"
                raise UsageError(f"{msg}: split them into heads, [..., {name}, width].")
        return qk_norm(
            query,
            key,
            kind=self.kind,
            eps=self.eps,
            query_gain=self.query_gain,
            key_gain=self.key_gain,
        )

    def extra_repr(self) -> str:
        return f"{self.head_dim}, kind={self.kind!r}, eps={self.eps}"


def _check_kind(kind: str) -> None:
    if kind not in get_args(Kind):
        msg = f"kind must be 'rms' or 'layer', got {kind!r}"
        raise UsageError(f"{msg}: 'layer' takes off the mean as well.")


def _normalized(tensor: Tensor, gain: Tensor | None, kind: Kind, eps: float) -> Tensor:
    # one dtype for both: torch's fused kernels, which accumulate in float32, ask for it
    gain = None if gain is None else gain.to(tensor.dtype)
    with outside_autocast(tensor.device):
        if kind == "rms":
            return functional.rms_norm(tensor, tensor.shape[-1:], gain, eps)
        return functional.layer_norm(tensor, tensor.shape[-1:], gain, None, eps)


def _heads() -> tuple[Tensor, Tensor]:
    return 10 * torch.randn(2, 4, 5, 8), torch.randn(2, 2, 7, 8)


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("QKNorm", "qk_norm"),
    samples=(
        Sample(build=lambda: QKNorm(8), inputs=_heads, double_backward=True),
        Sample(build=lambda: QKNorm(8, kind="layer"), inputs=_heads, double_backward=True),
        Sample(build=lambda: qk_norm, inputs=_heads),
    ),
)
