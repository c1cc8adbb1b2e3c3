"""A long run on a small page: fewer points, and the spikes still there.

Lines keep the smallest and the largest value of every stretch of steps; heatmaps keep the
largest of every cell. What is drawn says from how many rows it was made.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from steadytrain.core.columns import Floats, Steps
from steadytrain.core.history import History
from steadytrain.engine import HistoryView

MAX_POINTS: Final = 2000
"""Points of one line."""

MAX_COLUMNS: Final = 500
"""Columns of a heatmap: about one per two pixels of a wide screen."""

MAX_ROWS: Final = 240
"""Rows of a heatmap."""

MAX_SPANS: Final = 100
"""Stretches of non-finite steps that are marked on a line."""

PIECE: Final = 4_000_000
"""Numbers read from a history at once."""


def thin(steps: Steps, values: Floats, points: int = MAX_POINTS) -> tuple[Steps, Floats]:
    """At most `points` of a line, with the lowest, the highest and a gap of every stretch kept."""
    if len(steps) <= points:
        return steps, values
    edges = np.linspace(1, len(steps) - 1, (points - 2) // 3 + 1).astype(np.int64)
    kept = [_extremes(values, int(low), int(high)) for low, high in pairwise(edges)]
    order = np.unique(np.concatenate([[0], *kept, [len(steps) - 1]])).astype(np.int64)
    return steps[order], values[order]


def _extremes(values: Floats, low: int, high: int) -> Steps:
    """Positions of the lowest, the highest and the first unmeasured value in a stretch."""
    part = values[low:high]
    gaps = np.flatnonzero(np.isnan(part))[:1]
    if len(gaps) and np.isnan(part).all():
        return gaps + low
    places = [int(np.nanargmin(part)), int(np.nanargmax(part)), *gaps.tolist()]
    return np.asarray(places, dtype=np.int64) + low


def spans(steps: Steps, length: int) -> list[tuple[int, int]]:
    """The stretches that `steps` form in a run of `length` steps, near ones joined."""
    if not len(steps):
        return []
    reach = max(1, length // MAX_SPANS)
    cuts = np.flatnonzero(np.diff(steps) > reach)
    first = steps[np.concatenate([[0], cuts + 1])]
    last = steps[np.concatenate([cuts, [len(steps) - 1]])]
    return list(zip(first.tolist(), last.tolist(), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A steps x layers picture of one statistic.

    Shape: `values` is [columns, rows]; NaN where nothing was measured, infinity where a NaN or
    an infinite value was.
    """

    steps: Steps
    """First step of every column."""
    values: Floats
    num_steps: int
    """Measured steps the columns were made from."""
    num_sites: int
    first_sites: Steps
    """Index of the first site of every row."""


def grid(
    history: History, stat: str, bad_stat: str, columns: int = MAX_COLUMNS, rows: int = MAX_ROWS
) -> Grid | None:
    """The picture of a statistic, each cell the largest of what it stands for.

    None where it was never measured. Memory is bounded by `PIECE` numbers and the picture.

    Args:
        history: where it was measured.
        stat: the statistic.
        bad_stat: the statistic of the same sites that counts non-finite elements.
        columns: the picture's limit over steps.
        rows: the picture's limit over sites.
    """
    num_sites = len(history.sites(stat))
    edges = np.unique(np.linspace(0, num_sites, rows + 1).astype(np.int64)[:-1])
    found = _Columns(columns)
    for steps, values in pieces(history, stat, bad_stat):
        found.extend(steps, np.fmax.reduceat(values, edges, axis=1))
    if not found.num_steps:
        return None
    return Grid(
        steps=np.asarray(found.steps, dtype=np.int64),
        values=np.stack(found.cells),
        num_steps=found.num_steps,
        num_sites=num_sites,
        first_sites=edges,
    )


def pieces(history: History, stat: str, bad_stat: str) -> Iterator[tuple[Steps, Floats]]:
    """The rows in which `stat` was measured or found non-finite (as infinity), in pieces."""
    num_sites = len(history.sites(stat))
    size = max(1, PIECE // max(1, num_sites))
    start = history.next_step(history.start)
    while start is not None:
        view = until(history, min(start + size, history.step + 1), start)
        start = history.next_step(view.step + 1)
        steps, values = _marked(*view.measured(stat), *view.measured(bad_stat))
        there = ~np.isnan(values).all(axis=1)
        if num_sites and there.any():
            yield steps[there], values[there]


def until(history: History, stop: int, start: int = 0) -> History:
    """The steps from `start` up to but not including `stop`, without a copy."""
    return HistoryView(history, start=start, fresh=start, stop=stop)


def _marked(steps: Steps, values: Floats, bad_steps: Steps, counts: Floats) -> tuple[Steps, Floats]:
    """The values, with infinity where something non-finite was counted."""
    rows = np.union1d(steps, bad_steps)
    table = np.full((len(rows), values.shape[1]), np.nan)
    table[np.searchsorted(rows, steps)] = values
    step_at, site_at = np.nonzero(counts > 0)
    table[np.searchsorted(rows, bad_steps)[step_at], site_at] = np.inf
    return rows, table


class _Columns:
    """Columns that merge two by two when they become too many, so that one pass is enough."""

    def __init__(self, limit: int) -> None:
        self.steps: list[int] = []
        self.cells: list[Floats] = []
        self.num_steps = 0
        self._limit = limit
        self._rows_each = 1
        self._room = 0

    def extend(self, steps: Steps, values: Floats) -> None:
        at = 0
        while at < len(steps):
            self._open(int(steps[at]), values.shape[1])
            taken = values[at : at + self._room]
            self.cells[-1] = np.fmax(self.cells[-1], np.fmax.reduce(taken, axis=0))
            self._room -= len(taken)
            at += len(taken)
        self.num_steps += len(steps)

    def _open(self, step: int, width: int) -> None:
        """The last column has room for a row."""
        if not self._room and len(self.cells) >= self._limit:
            self._merge()
        if not self._room:
            self.steps.append(step)
            self.cells.append(np.full(width, np.nan))
            self._room = self._rows_each

    def _merge(self) -> None:
        if len(self.cells) % 2:
            self._room += self._rows_each
        pairs = range(0, len(self.cells), 2)
        self.cells = [np.fmax.reduce(self.cells[at : at + 2], axis=0) for at in pairs]
        self.steps = self.steps[::2]
        self._rows_each *= 2
