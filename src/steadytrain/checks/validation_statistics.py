"""Training and validation inputs have different statistics.

## What it does
Compares the spread and the mean of each input in the batches with those in `program.validation`,
where that holds tensors of the same form.

## Why it matters
Inputs that are scaled in one of the two only, or by statistics of their own, make the validation
measure another task than the one that is trained.

## Passes when
The spreads differ by less than 2.5 and the means by less than 1.5 training deviations.

## Fails when
Both the standard and the mean absolute deviation differ by 2.5 or more in the same direction, or the
means by more than 1.5 deviations.

## What to do
Fit mean and deviation on the training set and use the same two for both.

## Source
Hastie, Tibshirani, Friedman 2009, section 7.10.2, on what is fitted outside of the training data.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from steadytrain.checks._data import data_of, validation_of
from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Statistics:
    mean: float
    deviation: float
    absolute: float


@check(code="DAT253", causes=("split-statistics",), stage="data")
@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationStatistics:
    """Options of the check."""

    max_ratio: float = 2.5
    """Of the spreads; pixels of 0 to 1 beside standardised ones differ by 3."""
    max_shift: float = 1.5
    """Of the means, in deviations of the training inputs."""

    def judge(self, scene: Scene, /) -> Answer:
        data = scene.once(data_of)
        held_out = validation_of(scene, data)
        pairs = [
            (_typical(data.column(place)), _typical([batch[place] for batch in held_out]))
            for place in data.inputs
            if _comparable(data.batches[0][place], held_out[0][place])
        ]
        if not pairs:
            return not_applicable(self, "no input of the same form in both")
        worst = max(pairs, key=lambda pair: max(_ratio(*pair), _shift(*pair)))
        ratio, shift = _ratio(*worst), _shift(*worst)
        seen = f"spread {number(worst[0].deviation)} and {number(worst[1].deviation)}, means {number(shift)} deviations apart"  # fmt: skip
        if ratio < self.max_ratio and shift < self.max_shift:
            return passed(self, seen, ratio)
        train, other = worst
        return failed(
            self,
            seen,
            ratio,
            findings=[
                finding(
                    self,
                    f"Training inputs have mean {number(train.mean)} and deviation "
                    f"{number(train.deviation)}, validation inputs {number(other.mean)} and "
                    f"{number(other.deviation)}. Scale both by the training set's statistics.",
                    evidence={"ratio": ratio, "shift": shift},
                )
            ],
        )


def _comparable(one: Tensor, other: Tensor) -> bool:
    return (
        one.is_floating_point() and other.is_floating_point() and one.shape[1:] == other.shape[1:]
    )


def _typical(parts: list[Tensor]) -> _Statistics:
    """The median over the batches: one extreme batch does not count."""
    rows = [_of_batch(one) for one in parts if one.numel() > 1]
    return _Statistics(
        mean=median(row.mean for row in rows),
        deviation=median(row.deviation for row in rows),
        absolute=median(row.absolute for row in rows),
    )


def _of_batch(values: Tensor) -> _Statistics:
    numbers = values.double()
    numbers = numbers[torch.isfinite(numbers)]
    mean = float(numbers.mean())
    return _Statistics(
        mean=mean,
        deviation=float(numbers.std()),
        absolute=float((numbers - mean).abs().mean()),
    )


def _ratio(one: _Statistics, other: _Statistics) -> float:
    """The smaller of both ratios of spread, whichever way it goes; 1 where one has no spread."""
    if not min(one.deviation, other.deviation, one.absolute, other.absolute) > 0.0:
        return 1.0
    ratios = (other.deviation / one.deviation, other.absolute / one.absolute)
    return max(min(ratios), min(1 / ratio for ratio in ratios))


def _shift(one: _Statistics, other: _Statistics) -> float:
    return abs(other.mean - one.mean) / one.deviation if one.deviation > 0.0 else 0.0
