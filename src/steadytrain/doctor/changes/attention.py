"""Attention sees scores of a bounded size, rows that are not empty, heads cut by channel, no future."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._calls import Handlers
from steadytrain.doctor.changes._observing import calls_made
from steadytrain.doctor.changes._wrapping import intercept_models
from steadytrain.doctor.scene import Scene


def apply(program: Program, scene: Scene, *, make: Callable[[], Handlers]) -> Program | None:
    """None where the model makes none of the calls."""
    if not calls_made(program, scene, make()):
        return None
    return intercept_models(program, make)


def _bounded() -> Handlers:
    return {"scaled_dot_product_attention": _normed, "softmax": _tamed}


def _normed(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    query, key, *others = args
    return function(_rms(query), _rms(key), *others, **kwargs)


def _rms(x: Tensor) -> Tensor:
    return functional.rms_norm(x, x.shape[-1:], eps=1e-6)


def _tamed(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    scores, *others = args
    if _are_scores(scores):
        finite = scores.isfinite()
        kept = torch.where(finite, scores, 0.0)
        count = finite.sum(-1, keepdim=True).clamp(min=1)
        size = (kept.detach().square().sum(-1, keepdim=True) / count).sqrt()
        scores = scores / size.clamp_min(1.0)
    return function(scores, *others, **kwargs)


def _masked() -> Handlers:
    return {
        "softmax": _softmax_of_rows,
        "scaled_dot_product_attention": _attend_rows,
        "multi_head_attention_forward": _open_rows,
    }


def _softmax_of_rows(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    scores, *others = args
    if not scores.is_floating_point() or not bool(scores.isneginf().any()):
        return function(scores, *others, **kwargs)
    dim = others[0] if others else kwargs.get("dim", -1)
    empty = scores.isneginf().all(dim, keepdim=True)
    chances = function(scores.masked_fill(empty, 0.0), *others, **kwargs)
    return chances.masked_fill(empty, 0.0)


def _attend_rows(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    query, key, value, *others = args
    mask = others[0] if others else kwargs.get("attn_mask")
    if mask is None:
        return function(*args, **kwargs)
    empty = (~mask if mask.dtype == torch.bool else mask.isneginf()).all(-1, keepdim=True)
    opened = mask | empty if mask.dtype == torch.bool else mask.masked_fill(empty, 0.0)
    options = {k: v for k, v in kwargs.items() if k != "attn_mask"}
    mixed = function(query, key, value, opened, *others[1:], **options)
    return mixed.masked_fill(empty, 0.0)


def _open_rows(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    padding = kwargs.get("key_padding_mask")
    if padding is not None:
        is_masked = padding if padding.dtype == torch.bool else padding.isneginf()
        empty = is_masked.all(-1, keepdim=True)
        kwargs = {**kwargs, "key_padding_mask": padding.masked_fill(empty, False)}
    return function(*args, **kwargs)


def _causal() -> Handlers:
    return {"scaled_dot_product_attention": _attend_past, "softmax": _softmax_of_past}


def _attend_past(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    query, key, value, *others = args
    if others or kwargs.get("attn_mask") is not None or query.shape[-2] != key.shape[-2]:
        return function(*args, **kwargs)
    return function(query, key, value, **{**kwargs, "is_causal": True})


def _softmax_of_past(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    scores, *others = args
    if _are_scores(scores):
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(later, float("-inf"))
    return function(scores, *others, **kwargs)


def _are_scores(values: Tensor) -> bool:
    """Whether the numbers have the shape of attention over one sequence: [..., time, time]."""
    return values.ndim >= 3 and values.shape[-1] == values.shape[-2] and values.shape[-1] > 1


def _split() -> Handlers:
    return {"view": _heads_apart, "reshape": _heads_apart}


def _heads_apart(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    values, *sizes = args
    shape = tuple(sizes[0]) if len(sizes) == 1 and not isinstance(sizes[0], int) else tuple(sizes)
    if values.ndim == 3 and len(shape) == 4 and shape[2] == values.shape[1] != shape[1]:
        heads = shape[1]
        if values.shape[2] % heads == 0:
            return values.reshape(*values.shape[:2], heads, -1).transpose(1, 2)
    return function(values, *sizes, **kwargs)


CHANGES = tuple(
    change(name, __doc__, text=text, size=4, apply=partial(apply, make=make))
    for name, text, make in (
        ("qk-norm", "queries and keys normalised", _bounded),
        ("safe-masks", "empty rows of attention give zeros", _masked),
        ("causal-attention", "attention to the past only", _causal),
        ("split-heads", "attention heads split by channel", _split),
    )
)
