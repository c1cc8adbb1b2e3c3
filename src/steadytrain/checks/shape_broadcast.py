"""Predictions and targets of an elementwise loss have the same shape.

## What it does
Compares the shapes of both sides of `mse_loss` and its kin, and of differences that the loss
takes by hand between something that needs a gradient and something that does not.

## Why it matters
[n, 1] against [n] is broadcast to n by n without an error: every prediction is compared with every
target, and the best answer is the mean of the batch.

## Passes when
Both have one shape, or the smaller is meant for every element (a number, a row for all rows).

## Fails when
They hold equally many elements in different shapes, and the broadcast result holds more.

## What to do
`target.unsqueeze(1)`, `output.squeeze(1)`, or `target.view_as(output)`; assert the shapes.

## Source
PyTorch's own warning of mse_loss, "Using a target size that is different to the input size"; the
question why a regression predicts only the mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from steadytrain.checks._losses import ELEMENTWISE, output_of, target_of
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import Call
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Finding, Severity


@check(code="LOS201", causes=("shape-broadcast",), stage="shapes")
@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeBroadcast:
    """No loss spreads [n, 1] against [n] over a table."""

    def judge(self, scene: Scene, /) -> Answer:
        pairs = list(_pairs(scene.calls))
        for call, output, target in pairs:
            if _spreads(output, target):
                said = _said(self, call, output, target)
                seen = f"{list(output.shape)} against {list(target.shape)}"
                return failed(self, seen, findings=[said])
        if not pairs:
            return not_applicable(self, "no elementwise loss was seen")
        _, output, _ = pairs[0]
        return passed(self, f"{len(pairs)} comparisons, as of {list(output.shape)} with the same")


def _said(asked: ShapeBroadcast, call: Call, output: Tensor, target: Tensor) -> Finding:
    table = list(torch.broadcast_shapes(output.shape, target.shape))
    by = "a difference" if call.name == "sub" else call.name
    return finding(
        asked,
        f"{by} in the loss compares predictions of shape {list(output.shape)} with targets of "
        f"{list(target.shape)}: broadcast to {table}, every prediction meets every target. Expected "
        "one shape: use target.view_as(output).",
        severity=Severity.CRITICAL,
        site=call.path or None,
        evidence={"output": list(output.shape), "target": list(target.shape)},
    )


def _pairs(calls: tuple[Call, ...]) -> Iterator[tuple[Call, Tensor, Tensor]]:
    for call in calls:
        if call.name in ELEMENTWISE:
            yield call, output_of(call), target_of(call)
        elif call.name == "sub" and not call.path and call.is_one_sided:
            yield call, call["input"], call["other"]


def _spreads(output: Tensor, target: Tensor) -> bool:
    """Whether equally many elements in two shapes become more than either has."""
    if output.shape == target.shape or output.numel() != target.numel():
        return False
    try:
        table = torch.broadcast_shapes(output.shape, target.shape)
    except RuntimeError:  # shapes that do not fit raise in the first step itself
        return False
    return table.numel() > output.numel()
