"""Attention, or another softmax inside the network, begins at its flat end.

## What it does
Computes the scores of every `scaled_dot_product_attention` and `nn.MultiheadAttention` of the first
batch, takes the inputs of
every softmax over three dimensions or more, and measures how far the scores of one row spread.

## Why it matters
With scores that are tens apart every query takes one key whole: the softmax has no slope, and which
key is taken was decided by the initialisation.

## Passes when
The median row has a standard deviation below ten.

## Fails when
It is ten or more: a missing division by the root of the head's width, or weights that begin large.

## What to do
Divide by the root of the head's width (the default of `scaled_dot_product_attention`), initialise
queries and keys to unit scores, or normalise both: `qk_norm`.

## Source
Vaswani et al. 2017, section 3.2.1; Zhai et al. 2023 on the collapse of attention's entropy. A row of
n normal scores with deviation s gives its largest nearly everything from s = sqrt(2 ln n) on, which
is below five for every n in use; ten leaves a factor of two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import Call
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed

_FEW = 4
"""Samples of the batch whose scores are computed."""


@check(
    code="INI255",
    causes=("attention-logits-too-large", "init-too-large", "saturated-activation"),
    stage="architecture",
)
@dataclass(frozen=True, slots=True, kw_only=True)
class SharpAttention:
    """Options of the check."""

    max_spread: float = 10.0
    """Standard deviation of the scores of the median row."""

    def judge(self, scene: Scene, /) -> Answer:
        spreads = [(path, spread) for path, spread in _spreads(scene.first.calls) if spread > 0.0]
        if not spreads:
            return not_applicable(
                self, "no attention and no softmax over three dimensions was seen"
            )
        path, most = max(spreads, key=lambda one: one[1])
        seen = f"scores of one row spread by {number(most)}"
        if most < self.max_spread:
            return passed(self, seen, most)
        return failed(
            self,
            seen,
            most,
            findings=[
                finding(
                    self,
                    f"The scores of a row in {path or 'the model'} spread by {number(most)}, expected "
                    "about 1: each query takes one key whole. Divide by the root of the head's width, "
                    "or normalise queries and keys.",
                    site=path or None,
                    evidence={"spread": most, "num_calls": len(spreads)},
                )
            ],
        )


def _spreads(calls: tuple[Call, ...]) -> Iterator[tuple[str, float]]:
    for call in calls:
        if call.name == "scaled_dot_product_attention":
            scores = _scores(call)
        elif call.name == "multi_head_attention_forward":
            scores = _packed_scores(call)
        elif call.name == "softmax":
            scores = _along_last(call)
        else:
            continue
        if scores is not None and scores.shape[-1] >= 4:
            yield call.path, _typical_spread(scores)


def _scores(call: Call) -> Tensor | None:
    query, key = call["query"], call["key"]
    if not isinstance(query, Tensor) or not isinstance(key, Tensor) or query.dim() < 3:
        return None
    query, key = query[:_FEW].float(), key[:_FEW].float()
    if query.shape[:-2] != key.shape[:-2]:  # grouped queries: one group of heads is enough
        query = query[:, : key.shape[1]]
    scale: Any = call["scale"]
    scale = query.shape[-1] ** -0.5 if scale is None else float(scale)
    return query @ key.transpose(-1, -2) * scale


def _packed_scores(call: Call) -> Tensor | None:
    """The scores of torch's own attention layer, from its packed projection."""
    query, key, weight = call["query"], call["key"], call["in_proj_weight"]
    heads = call["num_heads"]
    if not all(isinstance(one, Tensor) for one in (query, key, weight)) or query.dim() != 3:
        return None
    width, bias = query.shape[-1], call["in_proj_bias"]
    parts = zip((query, key), weight.float().split(width)[:2], strict=True)
    projected = [one[:, :_FEW].float() @ part.T for one, part in parts]
    if isinstance(bias, Tensor):
        pieces = bias.float().split(width)[:2]
        projected = [one + own for one, own in zip(projected, pieces, strict=True)]
    # time, samples, width -> samples, heads, time, width of a head
    split = [one.unflatten(-1, (heads, -1)).permute(1, 2, 0, 3) for one in projected]
    return split[0] @ split[1].transpose(-1, -2) * (width // heads) ** -0.5


def _along_last(call: Call) -> Tensor | None:
    values, dim = call["input"], call["dim"]
    if not isinstance(values, Tensor) or values.dim() < 3 or not isinstance(dim, int):
        return None
    return values[:_FEW].float().movedim(dim, -1)


def _typical_spread(scores: Tensor) -> float:
    """The median over the rows of the deviation of their finite scores."""
    rows = scores.flatten(0, -2)
    seen = torch.isfinite(rows) & (rows > -1e4)
    count = seen.sum(-1).clamp_min(1)
    kept = torch.where(seen, rows, 0.0)
    mean = kept.sum(-1, keepdim=True) / count[:, None]
    variance = (torch.where(seen, rows - mean, 0.0).square().sum(-1)) / count
    wide = count >= 4
    return float(variance[wide].sqrt().median()) if bool(wide.any()) else 0.0
