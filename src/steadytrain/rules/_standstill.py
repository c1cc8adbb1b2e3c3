"""Whether a loss is still where it began, as far as its noise lets anyone tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.columns import HEAD_ROWS, Floats
from steadytrain.core.history import History
from steadytrain.core.robust import Rows, Trail, median, spread

FIRST: Final = 4
"""Rows that say where the loss began."""

SETTLED: Final = 8
"""Rows after which the output scale has settled: many losses drop a little at once."""

MIN_ROWS: Final = 20

FALLING: Final = 1.5
"""Standard deviations of the rank correlation with time from which a loss may be falling: it is not
said to stand still then. A loss without a trend falls that far on one look in fifteen."""

FLOOR: Final = 0.25
"""Noise over level from which a loss is near its floor: at chance it is a few hundredths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standstill:
    """The level of the loss at some rows beside its beginning."""

    still: Floats
    """1 where the loss stands where it began, 0 where not, NaN where nobody can tell yet."""
    level: Floats
    beginning: float
    noise: Floats


def standstill(history: History, series: Trail, rows: Rows, window: int) -> Standstill:
    """The verdict at `rows` over the last `window` steps.

    Still means: the level is not away from the first rows by a twentieth of itself and by the
    noise, it is not below the rows after them by two standard errors nor above by three, and the second half
    of the window is not away from the first by as much, and the window as a whole shows no fall. A loss that spreads over the batches by a
    quarter of its level or more is near its floor, not at its beginning.

    Args:
        history: what is judged; its first rows are read.
        series: the loss.
        rows: rows of the series.
        window: steps the loss must have stood still for.
    """
    steps, head = history.head("loss", HEAD_ROWS)
    first, settled = _median_of(head[:FIRST]), _median_of(head[SETTLED:])
    recent = series.before(rows, window, reach=window, lag=-1)
    late = series.before(rows, window, reach=window // 2, lag=-1)
    early = median(np.where(np.isfinite(late), np.nan, recent))
    level, noise = median(late), spread(recent, median(recent))
    counts = np.isfinite(recent).sum(axis=-1)
    error = 1.2533 * noise * np.sqrt(2.0 / np.maximum(counts, 1))
    since = np.hypot(error, 1.2533 * noise / np.sqrt(HEAD_ROWS - SETTLED))
    still = (
        (np.abs(first - level) <= np.maximum(0.05 * np.abs(level), noise))
        & (settled - level <= 2 * since)
        & (level - settled <= 3 * since)
        & (np.abs(early - level) <= 3 * np.sqrt(2) * error)
        & (noise < FLOOR * np.abs(level))
        & (_trend(recent) > -FALLING)
    )
    past_head = len(steps) == HEAD_ROWS and series.steps[rows] > steps[-1]
    old = series.steps[rows] - history.first_step >= window
    known = old & past_head & (counts >= MIN_ROWS) & np.isfinite(first + settled)
    return Standstill(
        still=np.where(known, still, np.nan), level=level, beginning=first, noise=noise
    )


def _trend(windows: Floats) -> Floats:
    """Spearman's correlation of each window with time, in its own standard deviations."""
    measured = np.isfinite(windows)
    count = np.maximum(measured.sum(axis=-1), 3)
    places = np.where(measured, windows, np.inf).argsort(axis=-1, kind="stable")
    ranks = places.argsort(axis=-1).astype(float)
    times = np.cumsum(measured, axis=-1) - 1.0
    middle = (count[:, None] - 1) / 2
    products = np.where(measured, (ranks - middle) * (times - middle), 0.0).sum(axis=-1)
    return products / (count * (count**2 - 1.0) / 12) * np.sqrt(count - 1.0)


def tenth_steps(series: Trail) -> Rows:
    """The rows to judge that begin another ten steps: what holds for long needs no more."""
    return series.rows[series.begins(10)[series.first :]]


def _median_of(rows: Floats) -> float:
    return float(median(rows[:, 0])) if len(rows) else float("nan")
