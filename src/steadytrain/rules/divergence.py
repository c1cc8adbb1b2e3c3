"""The loss rises and stays above its best recent level.

## What it sees
The level of the loss, not a single value: the medians of the last 4 and of the last 10 values
against the ones before them, and the median of the last 64 against the best such level of the
last few hundred steps. Upward only; noise, tails and earlier ups and downs are the run's own. A
jump of the learning rate starts a new past.

## Why it matters
A run that climbs away from its best does not come back by itself in most cases; every further
step is paid for and thrown away.

## Fires on
    loss 3.0x16 1.0x100 1.0..1.2x10

## Stays silent on
    loss 3.0x16 1.0x100 1.0..1.004x10

    loss 3.0->0.5x300

    learning_rate 0.001x300 0.1x100
    loss 3.0->1.0x300 1.5x100

## What to do
Lower the learning rate (by 3 to 10) from a checkpoint before the rise, warm up longer, clip the
gradient norm. If the data changed at that step, look there first.

## Source
Limits measured on synthetic curves: benchmarks/results/rule_curves.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.columns import Floats
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import (
    NORMAL_MAD,
    Rows,
    Trail,
    Upward,
    median,
    ordered,
    rank,
    spread,
    trail,
)
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import Mask, number
from steadytrain.rules._regime import Floor, regimes

FAST: Final = (4, 10)
"""Values whose median is the level, for a rise within a few steps."""

SLOW: Final = 64
"""Values whose median is the level, for a drift."""

STRIDE: Final = 16
"""Steps between two looks at the slow level."""

RECENT: Final = 24
"""Newest values that say how loud the loss is now."""

LEAP: Final = 8
"""Steps back in which a single batch may have lifted the loss."""

_LEAP: Final = ("bad-batch", "missing-grad-clip", "lr-too-high")

MIN_LOOKS: Final = 8
"""Looks that a slow rise must be seen against."""


@rule(
    code="DYN003",
    causes=("lr-too-high", "missing-warmup", "momentum-too-high", "loss-sign", "data-not-shuffled"),
)
@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """Options of the rule."""

    min_deviations: float = 6.0
    """Robust standard deviations of the level that a fast rise must have at least."""
    min_drift: float = 1.4
    """Standard deviations of a single loss that a slow rise must have at least."""
    min_rise: float = 0.005
    """Least rise, as a share of what the loss has gained since the run began."""

    def __post_init__(self) -> None:
        if not (self.min_deviations > 0 and self.min_drift > 0):
            msg = f"min_deviations and min_drift must be above 0, got {self.min_deviations} and"
            raise ValueError(
                f"{msg} {self.min_drift}: they are multiples of the noise. Try 6 and 1.4."
            )
        if not 0 <= self.min_rise < 1:
            msg = f"min_rise must be in 0..1, got {self.min_rise}: it is a share of the run's progress."
            raise ValueError(f"{msg} Try 0.005.")

    @property
    def lookback(self) -> int:
        return 512

    def check(self, history: History, /) -> Iterator[Finding]:
        losses = trail(history, "loss")
        if not len(losses.rows):
            return
        since = regimes(history, losses.steps)
        expected, rise, over = self._slow(losses, since)
        for smooth in FAST:
            risen = self._may_have_risen(losses, smooth)
            if not risen.any():
                continue
            test = Upward(
                smooth=smooth, stride=smooth, min_rows=16, deviations=self.min_deviations, tail=4.0
            )
            seen = test.judge(losses, since)
            loud = self.min_deviations * _error(losses, smooth)
            better = risen & (seen.excess > np.maximum(seen.limit, loud)) & ~over
            expected = np.where(better, seen.expected, expected)
            rise = np.where(better, seen.excess, rise)
            over |= better
        floor = Floor.of(history).least(expected, self.min_rise)
        for row in np.flatnonzero(over & (rise > floor)):
            step = int(losses.steps[losses.first + row])
            yield self._finding(history, step, expected[row], rise[row])

    def _may_have_risen(self, losses: Trail, smooth: int) -> Mask:
        """Which rows' newest level is above nine tenths of the values before: few of them."""
        rows = losses.rows
        newest = median(losses.before(rows, smooth, reach=64, lag=-1))
        high = rank(*ordered(losses.before(rows, 64, reach=128, lag=smooth - 1)), 0.90)
        return newest > high

    def _slow(self, losses: Trail, since: Rows) -> tuple[Floats, Floats, Mask]:
        """The best level, the rise above it, and whether that is more than noise and wandering."""
        count = len(losses.rows)
        best, rise, over = np.full(count, np.nan), np.full(count, np.nan), np.zeros(count, bool)
        looks = np.flatnonzero(losses.begins(STRIDE))
        if not len(looks) or looks[-1] < losses.first:
            return best, rise, over
        windows = losses.before(looks, SLOW, reach=2 * SLOW, lag=-1, since=since)
        levels = median(windows)
        noises = spread(windows, levels)
        full = np.isfinite(windows).sum(axis=-1) >= SLOW // 2
        for row in np.flatnonzero(looks >= losses.first):
            here = looks[row]
            oldest = max(losses.steps[here] - self.lookback + 2 * SLOW, since[here])
            seen = full & (losses.steps[looks] >= oldest) & (looks <= here)
            if full[row] and seen.sum() >= MIN_LOOKS:
                level, noise = levels[seen], float(np.median(noises[seen]))
                at = here - losses.first
                best[at], rise[at] = level.min(), level[-1] - level.min()
                over[at] = rise[at] > max(self.min_drift * noise, _wandering(level))
        return best, rise, over

    def _finding(self, history: History, step: int, expected: float, rise: float) -> Finding:
        beginning = Floor.of(history).beginning
        gained = beginning - expected
        lost = not rise < 0.5 * gained
        share = (
            "all it had gained"
            if not rise < gained
            else f"{rise / gained:.0%} of what it had gained"
        )
        grave = Severity.CRITICAL if lost else Severity.WARNING
        if _plays(history) and not expected + rise > 2 * max(expected, beginning):
            grave = Severity.NOTE
        return state(
            self,
            step=step,
            severity=grave,
            message=f"The loss has risen to {number(expected + rise)} from a level of {number(expected)}, "
            f"{share} since {number(beginning)} at the start, and stays there. Lower the learning rate "
            "from a checkpoint before the rise, or clip the gradient norm.",
            causes=_LEAP if _leapt(history, step, rise) else (),
            evidence={"level": expected + rise, "best": expected, "beginning": beginning},
        )


def _plays(history: History) -> bool:
    """Whether several optimizers are at work: where they play against each other, one's loss rises."""
    return any("." in name for name in history.sites("learning_rate"))


def _leapt(history: History, step: int, rise: float) -> bool:
    """Whether the gradient had jumped by as much as the loss rose: one batch, not the rate, did it."""
    norms = history.between("grad_norm_total", step - LEAP - 16, step + 1)[:, 0]
    losses = history.between("loss", step - LEAP, step + 1)[:, 0]
    calm, late = norms[:16], norms[16:]
    if not (np.isfinite(calm).sum() >= 8 and np.isfinite(late).any()):
        return False
    once = bool(np.nanmax(np.diff(losses), initial=-np.inf) > 0.5 * rise)
    return once and bool(np.nanmax(late) > 10 * np.nanmax(calm))


def _error(losses: Trail, smooth: int) -> Floats:
    """Standard error of the newest level, from the noise of its own time.

    A network that grows sure of itself has louder losses than in its past. Second differences,
    because a straight rise has none.
    """
    bends = np.diff(losses.before(losses.rows, RECENT, reach=2 * RECENT, lag=-1), n=2, axis=-1)
    noise = NORMAL_MAD * median(np.abs(bends)) / np.sqrt(6.0)
    return 1.2533 * noise / np.sqrt(smooth)


def _wandering(levels: Floats) -> float:
    """How far the level goes up and down without a fault, from the run's own past.

    The fall before its best and the largest rise in between are ups and downs that the run took
    back; the differences of levels that share no loss say what is noise in them.
    """
    past = levels[: int(np.argmin(levels)) + 1]
    taken_back = float((past - np.minimum.accumulate(past)).max())
    apart = SLOW // STRIDE
    calm = past if len(past) >= 2 * apart else levels
    changes = calm[apart:] - calm[:-apart]
    noise = float(spread(changes, median(changes))) / np.sqrt(2)
    return max(1.5 * max(float(past.max() - past.min()), taken_back), 7 * noise)
