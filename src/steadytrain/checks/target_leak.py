"""A column of the input is the target.

## What it does
Pools up to 64 batches of a table and correlates each column with the target.

## Why it matters
A copied, renamed or rescaled target among the features gives a loss that is too good, and a model
that is useless where the target is not known.

## Passes when
No column is a multiple of the target.

## Fails when
One of several columns correlates with it above 0.9999, over 64 rows or more.

## What to do
Take the column out, and whatever was computed from the target.

## Source
Kaufman et al. 2012 (Leakage in data mining).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from steadytrain.checks._data import Data, data_of
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed

_FEWEST = 64


@check(code="DAT257", causes=("target-leak",), stage="data")
@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLeak:
    """Options of the check."""

    max_correlation: float = 0.9999
    """Above it a column is the target, up to rounding."""

    def judge(self, scene: Scene, /) -> Answer:
        largest = [_largest(table, target) for table, target in _pairs(scene.once(data_of))]
        if not largest:
            return not_applicable(self, "no table of several columns with one target per row")
        correlation, column = max(largest)
        seen = f"column {column} correlates with the target by {correlation:.4f}"
        if not correlation > self.max_correlation:
            return passed(self, seen, correlation)
        return failed(
            self,
            seen,
            correlation,
            findings=[
                finding(
                    self,
                    f"Column {column} of the input correlates with the target by {correlation:.6f}: it "
                    "is the target in another unit. Take it out of the features.",
                    evidence={"column": column, "correlation": correlation},
                )
            ],
        )


def _pairs(data: Data) -> Iterator[tuple[Tensor, Tensor]]:
    """Tables of two columns or more, and targets of one number per row."""
    for place in data.inputs:
        table = data.pooled(place)
        if table.dim() != 2 or table.shape[1] < 2 or not table.is_floating_point():
            continue
        for other in data.targets:
            target = data.pooled(other).squeeze(-1)
            if other != place and target.dim() == 1 and len(target) == len(table) >= _FEWEST:
                yield table.double(), target.double()


def _largest(table: Tensor, target: Tensor) -> tuple[float, int]:
    """The largest correlation of a column with the target, in size, and the column."""
    columns, wanted = table - table.mean(0), target - target.mean()
    size = columns.norm(dim=0) * wanted.norm()
    sizes = (wanted @ columns).abs() / size
    sizes = torch.where((size > 0) & torch.isfinite(sizes), sizes, 0.0)
    place = int(sizes.argmax())
    return float(sizes[place]), place
