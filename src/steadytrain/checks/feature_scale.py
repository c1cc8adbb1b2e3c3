"""The first layer is given features far from unit scale, or on very different scales.

## What it does
Measures what the first layer with weights is given in the first batch; where that is a table, also
the spread of each of its columns over several batches.

## Why it matters
Initialisations, rates and clips are made for inputs of about unit scale. Raw pixels of 0 to 255, or
one column in thousands beside others in hundredths, make the first updates belong to the unit of
the data and not to the task.

## Passes when
The root mean square lies between 0.001 and 30, and no column is a thousand times wider than the
typical one. Data that enters through a norm or an embedding is not judged.

## Fails when
It lies outside, a column is so much wider, or every input is one and the same number.

## What to do
Subtract the training set's mean and divide by its deviation, per feature; divide pixels by 255 first.

## Source
LeCun et al. 1998 (Efficient BackProp), section 4.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from steadytrain.checks._data import Data, data_of
from steadytrain.checks._entrance import Entrance, entrance_of
from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, passed
from steadytrain.core.finding import Finding


@check(code="DAT251", causes=("data-not-normalized",), stage="data")
@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureScale:
    """Options of the check."""

    min_rms: float = 1e-3
    """Root mean square below which inputs are next to nothing; quiet sound has 0.01."""
    max_rms: float = 30.0
    """Above which they are too large; standardised inputs have 1, raw pixels over 100."""
    max_column_ratio: float = 1e3
    """Spread of a column over that of the typical one."""

    def judge(self, scene: Scene, /) -> Answer:
        entrance = scene.once(entrance_of)
        found = list(self._findings(scene.once(data_of), entrance))
        seen = f"root mean square {number(entrance.given.rms)} into {entrance.path or 'the model'}"
        if not found:
            return passed(self, seen, entrance.given.rms)
        return failed(self, seen, entrance.given.rms, findings=found)

    def _findings(self, data: Data, entrance: Entrance) -> Iterator[Finding]:
        rms, path = entrance.given.rms, entrance.path or None
        if rms and not self.min_rms <= rms <= self.max_rms:
            yield finding(
                self,
                f"{path or 'The model'} is given inputs of root mean square {number(rms)} (mean "
                f"{number(entrance.given.mean)}), expected about 1. Subtract the mean and divide by the "
                "deviation of the training set.",
                site=path,
                evidence={"rms": rms, "mean": entrance.given.mean},
            )
        for place in data.inputs:
            whole = data.pooled(place)
            if _is_constant(whole):
                yield finding(
                    self,
                    f"Every input is {number(float(whole.flatten()[0]))} in {len(data.batches)} "
                    "batches: nothing can be learned from it. Look at how the data is read.",
                    evidence={"value": float(whole.flatten()[0])},
                )
            elif isinstance(entrance.module, nn.Linear) and whole.dim() == 2:
                yield from self._of_columns(whole, path)

    def _of_columns(self, table: Tensor, path: str | None) -> Iterator[Finding]:
        if not table.is_floating_point() or table.shape[1] < 3 or len(table) < 16:
            return
        spread = table.double().std(dim=0)
        spread = spread[torch.isfinite(spread)]
        moving = spread[spread > 0]
        if len(moving) < 3:
            return
        ratio = float(moving.max() / moving.median())
        if ratio > self.max_column_ratio:
            yield finding(
                self,
                f"Column {int(spread.argmax())} spreads {number(ratio)} times as wide as the typical "
                "column: it drowns the others. Standardise each column.",
                site=path,
                evidence={"ratio": ratio, "column": int(spread.argmax())},
            )


def _is_constant(values: Tensor) -> bool:
    if not values.is_floating_point() or values.numel() < 16:
        return False
    return bool((values == values.flatten()[0]).all())
