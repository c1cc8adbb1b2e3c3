"""One batch is many times larger than all others, in its inputs or in its loss.

## What it does
Compares the size (root mean square) of the inputs of up to 256 batches, and their losses on an
untrained copy, with the median of all.

## Why it matters
One step along the gradient of a batch that was read in another unit, or that has a weight of a
hundred, carries the weights away from all that was learned before.

## Passes when
No input is 30 times the median size, and no loss stands far above the others.

## Fails when
An input of a batch is 30 times as large as in the median batch and its loss twice; or its loss is 10 times the median
and farther from it than 30 times the median distance.

## What to do
Look at the batch that is named: a file in another unit, a decoder that failed, a sample weight that
is a ratio of small numbers. Drop or bound it, and clip the gradient norm.

## Source
TheDeepChecker (Ben Braiek & Khomh 2023), corrupted inputs; median and MAD as in Leys et al. 2013.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from torch import Tensor

from steadytrain.checks._data import Data, data_of
from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import facts_of
from steadytrain.checks._sweep import sweep_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, not_applicable, passed

_FEWEST = 6


@check(code="DAT261", causes=("bad-batch", "missing-grad-clip"), stage="data")
@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierBatches:
    """Options of the check."""

    max_input_ratio: float = 30.0
    """Size of a batch's input over the median's."""
    min_loss_ratio: float = 2.0
    """Loss of such a batch over the median's, from which on its size does harm."""
    max_loss_ratio: float = 10.0
    """Loss of a batch over the median's, above it."""
    max_loss_distance: float = 30.0
    """Distance of that loss from the median, in median distances."""

    def judge(self, scene: Scene, /) -> Answer:
        sizes = _sizes(scene.once(data_of))
        losses = _losses(scene)
        if max(map(len, (*sizes, losses)), default=0) < _FEWEST:
            return not_applicable(self, "too few batches to compare")
        for column in sizes:
            place, ratio = _largest(column)
            if ratio >= self.max_input_ratio and self._counts(losses, place):
                return self._failed("inputs are", place, ratio, len(column))
        place, ratio = _largest(losses)
        if self._stands_out(losses, place):
            return self._failed("loss is", place, ratio, len(losses))
        most = max([1.0, *(_largest(column)[1] for column in sizes)])
        return passed(self, f"inputs up to {number(most)} times the median's", most)

    def _counts(self, losses: Sequence[float], place: int) -> bool:
        """Whether the loss of that batch is large too: a norm may bring inputs of any unit to one."""
        return place < len(losses) and losses[place] > self.min_loss_ratio * median(losses) > 0.0

    def _stands_out(self, losses: Sequence[float], place: int) -> bool:
        if len(losses) < _FEWEST:
            return False
        middle = median(losses)
        usual = median(abs(loss - middle) for loss in losses)
        far = losses[place] - middle
        enough = far > (self.max_loss_ratio - 1) * abs(middle)
        return enough and far > self.max_loss_distance * usual

    def _failed(self, what: str, place: int, ratio: float, count: int) -> Answer:
        said = finding(
            self,
            f"The {what} {number(ratio)} times the median in batch {place + 1} of the {count} that were "
            "read, expected about 1. Look at that batch: its unit, its decoder, its weight. Clip the "
            "gradient norm against the next one.",
            evidence={"batch": place, "ratio": ratio},
        )
        return failed(
            self, f"batch {place + 1} has {number(ratio)} times the median", ratio, findings=[said]
        )


def _sizes(data: Data) -> list[list[float]]:
    """Of every floating point input, its root mean square in each batch."""
    floats = [place for place in data.inputs if _is_float(data.batches[0][place])]
    return [[facts_of(one).rms for one in data.column(place)] for place in floats]


def _is_float(values: Tensor) -> bool:
    return values.is_floating_point() and values.dim() > 1


def _losses(scene: Scene) -> list[float]:
    try:
        losses = scene.once(sweep_of).losses
    except Unseen:
        return []
    return losses if all(map(math.isfinite, losses)) else []


def _largest(column: Sequence[float]) -> tuple[int, float]:
    """The place of the largest, and its ratio to the median; 1 where there is none."""
    if len(column) < _FEWEST or not median(column) > 0.0:
        return max(range(len(column)), key=column.__getitem__, default=0), 1.0
    place = max(range(len(column)), key=column.__getitem__)
    return place, column[place] / median(column)
