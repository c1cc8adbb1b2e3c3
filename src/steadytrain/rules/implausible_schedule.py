"""The learning rate takes a course that nobody means it to take.

## What it sees
The highest rate over the groups does one of four things. It is over at once: the rate is below
1/2000 of its peak for a tenth of the steps made so far, within the first five thousand. It climbs
back: after a fall to nothing it rises again along the mirror image of the fall, as a formula does
beyond its end. It begins anew: the rate drops from a climb, or for the second time, and takes the
course of the run's first steps. It is negative. Warm restarts jump up, cycles between two rates
do not touch zero, and the end of a schedule is short.

## Why it matters
A usual step changes a weight by a thousandth; 1/2000 of that is near what float32 rounds away.
Steps made there are lost, and a rate that climbs at the end of a run undoes what it settled.

## Fires on
    learning_rate 0.1x40 4.9e-5x5

    learning_rate 1.0 0.75 0.5 0.25 0.0 0.25 0.5 0.75

    learning_rate 0.1 0.4 0.7 1.0 0.1 0.4 0.7 1.0

    learning_rate 0.1 0.05 0.0 -0.05

    learning_rate 0.0x10

## Stays silent on
    learning_rate 0.1x40 5.1e-5x5

    learning_rate 0.1x100 1e-6x10

    learning_rate 1.0 0.75 0.5 0.25 0.0 0.25 0.5

    learning_rate 1.0 0.75 0.5 0.25 0.0 1.0 0.75 0.5 0.25 0.0

    learning_rate 0.0x9 0.1x40

    learning_rate 0.1 0.4 0.7 1.0x20 0.1 0.4 0.7 1.0x20

    learning_rate 1e-4..1.0x100 1.0->0.01x100 0.01..1.0x100

## What to do
Give the schedule the number of optimizer steps of the whole run if it is stepped per batch, or
step it once per epoch. Build it once, before the first epoch.

## Source
The formula of torch's CosineAnnealingLR beyond T_max; a cosine spends 1.4% of its length below
1/2000, a cubic decay 8%. Loshchilov and Hutter 2017 for restarts, Smith 2017 for cycles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.columns import HEAD_ROWS, Floats, Steps
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import number

LOOKBACK: Final = 500
"""Steps looked back: a tenth of the longest run in which an early end is looked for."""

MIN_SPENT: Final = 5
"""Steps below which an end is none, however short the run."""

VALLEY: Final = 0.005
"""Share of the peak below which a fall went to nothing: cycles turn at a hundredth or above."""

WORTH: Final = 0.1
"""Share of the peak that a rate must have come back to."""

MIRRORED: Final = 3
"""Steps up that must repeat the steps down, and steps that must repeat the first ones."""

NO_STEPS: Final = 10
"""Steps at a rate of zero since the start; a ramp from zero has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Course:
    """The highest rate over the groups: its first rows, and the rows of the look-back."""

    steps: Steps
    rates: Floats
    beginning: Floats
    peaks: Floats
    """At every row to judge, the highest rate known by then."""

    def back(self, row: int) -> slice:
        """The rows of a row's look-back, itself the last."""
        return slice(int(np.searchsorted(self.steps, int(self.steps[row]) - LOOKBACK)), row + 1)


@rule(code="OPT006", causes=("lr-schedule-wrong", "lr-too-low"), repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class ImplausibleSchedule:
    """Options of the rule."""

    min_share: float = 5e-4
    """Share of its peak below which a rate is as good as zero."""
    max_spent: float = 0.1
    """Share of the steps made so far that a run may spend there."""

    def __post_init__(self) -> None:
        if not (0 < self.min_share < 0.1 and 0 < self.max_spent < 1):
            msg = f"min_share and max_spent are shares below 0.1 and 1, got {self.min_share} and"
            raise ValueError(f"{msg} {self.max_spent}. Try 5e-4 and 0.1.")

    @property
    def lookback(self) -> int:
        return LOOKBACK

    def check(self, history: History, /) -> Iterator[Finding]:
        if not _may_be_odd(history, self.min_share):
            return
        course = _course(history)
        for row in range(int((course.steps < history.fresh).sum()), len(course.steps)):
            step, rate, peak = int(course.steps[row]), course.rates[row], course.peaks[row]
            if rate < 0:
                yield self._finding(step, rate, peak, "negative", Severity.CRITICAL)
            elif rate <= self.min_share * peak:
                if self._is_over(course, row, step - history.first_step + 1):
                    yield self._finding(step, rate, peak, "over at once")
            elif row and rate > course.rates[row - 1]:
                if _climbs_back(course, row):
                    yield self._finding(step, rate, peak, "climbs back")
                elif _begins_anew(course, row):
                    yield self._finding(step, rate, peak, "begins anew")

    def _is_over(self, course: _Course, row: int, age: int) -> bool:
        """Whether the rate has been as good as zero for a good part of the run."""
        rows = course.back(row)
        above = np.flatnonzero(course.rates[rows] > self.min_share * course.peaks[row])
        since = course.steps[rows][above[-1]] if len(above) else course.steps[rows][0] - 1
        spent = int(course.steps[row] - since)
        if not course.peaks[row]:
            return spent >= NO_STEPS and spent >= age
        return age <= LOOKBACK / self.max_spent and spent >= max(MIN_SPENT, self.max_spent * age)

    def _finding(
        self,
        step: int,
        rate: float,
        peak: float,
        kind: str,
        severity: Severity = Severity.WARNING,
    ) -> Finding:
        said = {
            "negative": "is negative, so that steps go uphill",
            "over at once": f"has been below {number(self.min_share)} of its peak for a tenth of the run",
            "climbs back": "climbs again as it fell before, as a schedule does beyond its length",
            "begins anew": "dropped and takes the course of the run's first steps again",
        }[kind]
        return state(
            self,
            step=step,
            severity=severity,
            message=f"The learning rate is {number(rate)} (highest so far: {number(peak)}) and {said}. Give "
            "the schedule its length in the unit in which it is stepped, and build it once, before "
            "the first epoch.",
            evidence={"kind": kind, "learning_rate": rate, "peak": peak},
        )


def _may_be_odd(history: History, min_share: float) -> bool:
    """Whether a rate to judge is low beside the highest, or has risen: nearly none is, or has."""
    steps, table = history.measured("learning_rate")
    rates = _highest(table)
    first = int(np.searchsorted(steps, history.fresh))
    early = _highest(history.head("learning_rate", HEAD_ROWS)[1])
    peak = np.nanmax(np.concatenate([rates, early, [0.0]]))
    fresh = rates[first:]
    risen = np.diff(rates[max(first - 1, 0) :]) > 0
    return bool((fresh <= min_share * peak).any() or risen.any() or np.isnan(rates).any())


def _course(history: History) -> _Course:
    """The rates of the look-back, without rows where none was measured."""
    steps, table = history.measured("learning_rate")
    early, first_rows = history.head("learning_rate", HEAD_ROWS)
    rates, beginning = _highest(table), _highest(first_rows)
    known, seen = np.isfinite(rates), np.isfinite(beginning)
    steps, rates, early, beginning = steps[known], rates[known], early[seen], beginning[seen]
    peaks = np.full(len(rates), np.nan)
    for row in range(int((steps < history.fresh).sum()), len(steps)):
        oldest = int(np.searchsorted(steps, int(steps[row]) - LOOKBACK))
        past = beginning[: np.searchsorted(early, steps[row], side="right")]
        peaks[row] = max(past.max(initial=0.0), rates[oldest : row + 1].max(initial=0.0))
    return _Course(steps=steps, rates=rates, beginning=beginning, peaks=peaks)


def _highest(table: Floats) -> Floats:
    """The highest finite rate of each row; NaN where there is none."""
    known = np.where(np.isfinite(table), table, -np.inf).max(axis=1, initial=-np.inf)
    return np.where(np.isfinite(known), known, np.nan)


def _climbs_back(course: _Course, row: int) -> bool:
    """Whether the way up from nothing is the way down, backwards."""
    rates = course.rates[course.back(row)]
    valley = len(rates) - 1 - int(np.argmin(rates[::-1]))
    if not rates[valley] <= VALLEY * course.peaks[row] <= VALLEY / WORTH * rates[-1]:
        return False
    for centre in (2 * valley - 1, 2 * valley, 2 * valley + 1):  # it may lie between two rows
        up = rates[centre // 2 + 1 :]
        down = rates[: (centre + 1) // 2][::-1]
        if MIRRORED <= len(up) <= len(down) and np.allclose(
            up, down[: len(up)], rtol=0, atol=0.05 * rates[-1]
        ):
            return True
    return False


def _begins_anew(course: _Course, row: int) -> bool:
    """Whether the newest rows are a drop to the first ones, from a climb or once more."""
    rates, first = course.rates[course.back(row)], course.beginning[:MIRRORED]
    drop = len(rates) - MIRRORED
    if drop < 2 or len(first) < MIRRORED or not (np.diff(first) > 0).all():
        return False
    windows = np.lib.stride_tricks.sliding_window_view(rates[1:], MIRRORED)
    drops = np.isclose(windows, first, rtol=1e-3, atol=0).all(axis=1) & (
        windows[:, 0] <= 0.5 * rates[: len(windows)]
    )
    from_climb = rates[drop - 1] > rates[drop - 2]
    return bool(drops[-1]) and (from_climb or int(drops.sum()) > 1)
