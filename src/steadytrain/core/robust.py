"""Rolling statistics that look only back and that a wild value cannot move.

A `Trail` is one series of a history with the row where judging starts; `Trail.before` cuts the
windows of earlier rows, so nothing computed from it can see the future. Medians and median
absolute deviations drop what is not finite: an infinity or a NaN is never averaged, it is the
business of the rules that look for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from steadytrain.core.columns import Floats, Steps
from steadytrain.core.history import History

Rows = NDArray[np.int64]

NORMAL_MAD: Final = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


def ordered(windows: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """The finite values of each window in ascending order, and how many there are."""
    kept = np.where(np.isfinite(windows), windows, np.nan)
    kept.sort(axis=-1)
    return kept, np.asarray(np.isfinite(kept).sum(axis=-1), dtype=np.int64)


def rank(values: Floats, counts: NDArray[np.int64], share: float) -> Floats:
    """The value with `share` of each ordered window at or below it; NaN where it is empty."""
    return _pick(values, np.maximum(np.ceil(share * counts).astype(np.int64) - 1, 0))


def median(windows: Floats) -> Floats:
    """The median of the finite values of each window (last axis); NaN where there is none."""
    return middle(*ordered(windows))


def middle(values: Floats, counts: NDArray[np.int64]) -> Floats:
    """`median` of windows that are `ordered` already."""
    low = _pick(values, np.maximum(counts - 1, 0) // 2)
    high = _pick(values, np.minimum(counts // 2, np.maximum(counts - 1, 0)))
    return low + 0.5 * (high - low)


def spread(windows: Floats, centre: Floats) -> Floats:
    """The standard deviation that the median absolute deviation about `centre` stands for."""
    return NORMAL_MAD * median(np.abs(windows - centre[..., None]))


def _pick(values: Floats, at: NDArray[np.int64]) -> Floats:
    if at.size and (at == at.flat[0]).all():  # full windows, nearly always
        return values[..., at.flat[0]]
    return np.take_along_axis(values, at[..., None], axis=-1)[..., 0]


@dataclass(frozen=True, slots=True)
class Trail:
    """The measured rows of one series.

    Args:
        steps: the steps it was measured at, ascending.
        values: a finite number each.
        first: the first row that is to be judged; earlier ones are context.
    """

    steps: Steps
    values: Floats
    first: int

    @property
    def rows(self) -> Rows:
        """The rows to judge."""
        return np.arange(self.first, len(self.steps), dtype=np.int64)

    def before(
        self, rows: Rows, width: int, *, reach: int, lag: int = 0, since: Steps | None = None
    ) -> Floats:
        """The last `width` values before each of `rows`, oldest first: [rows, width].

        Args:
            rows: row numbers.
            width: values per window; NaN stands where there are fewer.
            reach: steps back from the row beyond which nothing is read.
            lag: newest values before the row that are left out; -1 takes the row itself in.
            since: for every row of the trail, the step before which nothing is read.
        """
        oldest = self.steps[rows] - reach
        if since is not None:
            oldest = np.maximum(oldest, since[rows])
        return self.windows(rows - lag, oldest, width)

    def windows(self, ends: Rows, oldest: Steps, width: int) -> Floats:
        """The `width` values before each row of `ends` that are not older than `oldest`."""
        at = ends[:, None] - np.arange(width, 0, -1)
        known = at >= 0
        np.maximum(at, 0, out=at)
        known &= self.steps[at] >= oldest[:, None]
        return np.where(known, self.values[at], np.nan)

    def begins(self, stride: int) -> NDArray[np.bool_]:
        """Which rows are the first of their `stride` steps."""
        blocks = self.steps // stride
        return np.concatenate([[True], blocks[1:] > blocks[:-1]])[: len(blocks)]


def trail(history: History, stat: str, across: Callable[[Floats], Floats] | None = None) -> Trail:
    """The finite values of a statistic of the whole run, or of `across` its sites.

    Args:
        history: what is judged.
        stat: a statistic.
        across: turns [rows, sites] into [rows].
    """
    steps, table = history.measured(stat)
    values = table[:, 0] if across is None else across(table)
    finite = np.isfinite(values)
    steps, values = steps[finite], values[finite]
    return Trail(steps, values, int(np.searchsorted(steps, history.fresh)))


@dataclass(frozen=True, slots=True)
class Excess:
    """How far the judged rows stand above what their past leads to expect."""

    steps: Steps
    expected: Floats
    excess: Floats
    noise: Floats
    """Standard deviation of the past about its own expectations, robustly."""
    limit: Floats
    """Largest excess that the past makes plausible; NaN where there is too little past."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upward:
    """A one-sided test of a series against its own past.

    Each value (or the median of the last `smooth`) is set against the median of the `recent`
    values before it; the differences of the past say what is plausible. A trend shifts all
    differences alike and drops out. Heavy tails are taken from the past itself: the limit is
    the 98% quantile of the differences plus `tail` times its distance from the 90% quantile,
    at least `deviations` robust standard deviations. The past is sampled every `stride` steps:
    medians that overlap say the same thing twice.
    """

    smooth: int = 1
    recent: int = 16
    window: int = 400
    stride: int = 1
    min_rows: int = 32
    deviations: float = 8.0
    tail: float = 10.0

    @property
    def near(self) -> int:
        """Steps that one expectation may look back."""
        return 64 + 2 * self.smooth

    @property
    def reach(self) -> int:
        """Steps back that a verdict depends on."""
        return self.window + self.near

    def judge(self, series: Trail, since: Steps | None = None) -> Excess:
        """The verdicts on the rows to be judged.

        Args:
            series: the series.
            since: for every row, the step where its past begins: the last change of regime.
        """
        sampled = np.flatnonzero(series.begins(self.stride))
        sampled = sampled[sampled >= series.first - self.window]
        expected, shift = self._differences(series, sampled, since)
        centre, noise, limit = self._plausible(
            series, Trail(series.steps[sampled], shift, 0), sampled, since
        )
        if self.stride == 1:
            rows = sampled >= series.first
            expected, shift = expected[rows], shift[rows]
        else:
            expected, shift = self._differences(series, series.rows, since)
        return Excess(
            steps=series.steps[series.first :],
            expected=expected + centre,
            excess=shift - centre,
            noise=noise,
            limit=limit,
        )

    def _plausible(
        self, series: Trail, shifts: Trail, sampled: Rows, since: Steps | None
    ) -> tuple[Floats, Floats, Floats]:
        """Centre, noise and upper limit of the past differences, for the rows to be judged."""
        rows = series.rows
        oldest = series.steps[rows] - self.window
        if since is not None:
            oldest = np.maximum(oldest, since[rows])
        past = shifts.windows(np.searchsorted(sampled, rows), oldest, self.window // self.stride)
        values, counts = ordered(past)
        centre = middle(values, counts)
        noise = spread(past, centre)
        high = rank(values, counts, 0.98)
        tail = high + self.tail * (high - rank(values, counts, 0.90)) - centre
        limit = np.maximum(self.deviations * noise, tail)
        return centre, noise, np.where(counts >= self.min_rows, limit, np.nan)

    def _differences(self, series: Trail, rows: Rows, since: Steps | None) -> tuple[Floats, Floats]:
        """What is expected at `rows`, and how far the series stands above it."""
        near = series.before(rows, self.recent, reach=self.near, lag=self.smooth - 1, since=since)
        values, counts = ordered(near)
        expected = np.where(counts >= 5, middle(values, counts), np.nan)
        if self.smooth == 1:
            return expected, series.values[rows] - expected
        newest = series.before(rows, self.smooth, reach=self.near, lag=-1, since=since)
        full = np.isfinite(newest).all(axis=-1)
        return expected, np.where(full, median(newest), np.nan) - expected
