"""The data the network reads is far from unit scale.

## What it sees
At the first layer that reads data from outside: a root mean square above ten or below a hundredth,
or columns of a table that differ by a factor of a thousand. Whole numbers of two or more throughout
are bytes, counts or indices that nobody scaled.

## Why it matters
Initialisations, rates and decays are made for inputs of unit variance. Large ones make the first
layer's outputs and gradients large; indices as magnitudes say that 40 is twice 20.

## Fires on
    data_rms@a 10.1
    data_mean@a 0

    data_column_ratio@a 1001
    data_rms@a 1

    data_whole_fraction@a 0.6
    data_rms@a 6

## Stays silent on
    data_rms@a 9.9
    data_mean@a 0

    data_column_ratio@a 999
    data_rms@a 1

    data_whole_fraction@a 0.4
    data_rms@a 6

## What to do
Subtract the mean and divide by the deviation of the training set, column by column; look indices up
in an embedding.

## Source
LeCun et al. 1998 (Efficient BackProp), section 4.3; data normalised for ImageNet reaches 2.6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import number

_SCALE: Final = ("data-not-normalized", "token-ids-as-numbers")
_SUDDEN: Final = ("bad-batch", "data-not-normalized")
_INDICES: Final = ("token-ids-as-numbers", "data-not-normalized")


@rule(code="DAT001", causes=_SCALE, repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class UnscaledInput:
    """Options of the rule."""

    max_rms: float = 10.0
    """Root mean square that data may have."""
    min_rms: float = 0.01
    """Root mean square that data must have."""
    max_column_ratio: float = 1e3
    """Factor between the largest and the smallest column of a table."""

    def __post_init__(self) -> None:
        if not (self.min_rms >= 0 and self.max_rms > self.min_rms and self.max_column_ratio > 1):
            msg = f"min_rms, max_rms and max_column_ratio must be a range and a factor, got {self.min_rms},"
            raise ValueError(
                f"{msg} {self.max_rms} and {self.max_column_ratio}. Try 0.01, 10 and 1e3."
            )

    @property
    def lookback(self) -> int:
        return 0

    def check(self, history: History, /) -> Iterator[Finding]:
        steps, sizes = history.measured("data_rms")
        for row in np.flatnonzero(steps >= history.fresh):
            known = np.flatnonzero(np.isfinite(sizes[row]))
            if len(known):
                yield from self._look(history, int(steps[row]), int(known[0]))

    def _look(self, history: History, step: int, site: int) -> Iterator[Finding]:
        first = history.head("data_rms", 1)[1]
        begun = float(first[0][site]) if len(first) and site < len(first[0]) else float("nan")
        size, whole, ratio, mean = (
            float(history.between(stat, step, step + 1)[0, site])
            for stat in ("data_rms", "data_whole_fraction", "data_column_ratio", "data_mean")
        )
        if whole > 0.5 and size > 3:
            what = f"are whole numbers ({whole:.0%} of two or more) around {number(size)}"
            yield self._finding(history, step, site, what, _causes(size, mean))
        elif size > self.max_rms or 0 < size < self.min_rms:
            what = f"have a root mean square of {number(size)}, where 1 is usual"
            sudden = self.min_rms <= begun <= self.max_rms
            yield self._finding(history, step, site, what, _SUDDEN if sudden else _SCALE)
        elif ratio > self.max_column_ratio:
            what = f"have columns that differ in size by a factor of {number(ratio)}"
            yield self._finding(history, step, site, what, _SCALE)

    def _finding(
        self, history: History, step: int, site: int, what: str, causes: tuple[str, ...]
    ) -> Finding:
        name = history.sites("data_rms")[site]
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            site=name,
            message=f"The data that {name} reads {what}. Standardise it column by column with the training "
            "set's statistics; look indices up in an embedding.",
            causes=causes,
            evidence={
                stat: float(history.between(stat, step, step + 1)[0, site])
                for stat in ("data_rms", "data_mean", "data_max", "data_whole_fraction")
            },
        )


def _causes(size: float, mean: float) -> tuple[str, ...]:
    """Pixels are mostly dark: their size is far above their mean, that of indices is not."""
    return _INDICES if size < 50 and mean > 0.5 * size else _SCALE
