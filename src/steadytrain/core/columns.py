"""The rows of one statistic: the steps it was measured at, and a value per site.

A growing block of memory that forgets from the front. Rows are kept in order of step; a second
append at the same step fills what the first left unmeasured (two optimizers write their own
parameters into one row), and the first rows of a run are kept for ever beside the ring, so that
"where did it start" can still be asked at step 40,000.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Steps = NDArray[np.int64]

HEAD_ROWS: Final = 64
"""First rows of every statistic that stay in memory for the whole run."""

_FLOAT32_MAX = float(np.finfo(np.float32).max)


def as_float32(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """`values` rounded to float32; a finite value beyond its range becomes its largest one."""
    wide = np.asarray(values, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        narrow = wide.astype(np.float32)
    over = np.isinf(narrow) & np.isfinite(wide)
    if over.any():
        narrow[over] = np.copysign(_FLOAT32_MAX, wide[over]).astype(np.float32)
    return narrow


class Column:
    """The measured rows of one statistic.

    Args:
        num_sites: width of a row.
        dtype: `float32` for columns with a site each, `float64` for those of the whole run.
    """

    def __init__(self, num_sites: int, dtype: type[np.floating]) -> None:
        self._dtype = dtype
        self._steps: Steps = np.empty(16, dtype=np.int64)
        self._values = np.empty((16, num_sites), dtype=dtype)
        self._start = 0
        self._stop = 0
        self._head_steps: list[int] = []
        self._head: list[NDArray[np.floating]] = []

    @property
    def num_sites(self) -> int:
        return self._values.shape[1]

    @property
    def num_bytes(self) -> int:
        return self._values.nbytes + self._steps.nbytes

    @property
    def steps(self) -> Steps:
        """Steps of the rows in memory, ascending."""
        return self._steps[self._start : self._stop]

    @property
    def values(self) -> NDArray[np.floating]:
        """The rows in memory: [rows, sites]."""
        return self._values[self._start : self._stop]

    @property
    def last_step(self) -> int:
        """The step of the newest row, -1 without one."""
        newest = self._steps[self._stop - 1] if self._stop > self._start else -1
        return max(int(newest), self._head_steps[-1] if self._head_steps else -1)

    def between(self, first: int, last: int) -> tuple[Steps, NDArray[np.floating]]:
        """The rows of the steps `first` to `last`, itself included: their steps, [rows, sites]."""
        low, high = np.searchsorted(self.steps, [first, max(first, last + 1)])
        return self.steps[low:high], self.values[low:high]

    def next_step(self, step: int) -> int | None:
        """The first step from `step` on that has a row, None after the last."""
        at = int(np.searchsorted(self.steps, step))
        return int(self.steps[at]) if at < len(self.steps) else None

    def head(self, rows: int) -> tuple[Steps, Floats]:
        """The first `rows` rows ever measured, at most `HEAD_ROWS`."""
        steps = np.asarray(self._head_steps[:rows], dtype=np.int64)
        if not len(steps):
            return steps, np.empty((0, self.num_sites))
        return steps, np.stack(self._head[:rows]).astype(np.float64)

    def widen(self, num_sites: int) -> None:
        """Room for sites that appeared later: not measured before."""
        extra = num_sites - self.num_sites
        if extra <= 0:
            return
        pad = ((0, 0), (0, extra))
        self._values = np.pad(self._values, pad, constant_values=np.nan)
        self._head = [np.pad(row, (0, extra), constant_values=np.nan) for row in self._head]

    def put(self, step: int, row: NDArray[np.floating]) -> None:
        """Add `row` at `step`, or fill with it what is not measured there yet."""
        narrow = as_float32(row) if self._dtype is np.float32 else row.astype(np.float64)
        if self._stop > self._start and step <= self._steps[self._stop - 1]:
            self._merge(step, narrow)
            return
        self._reserve()
        self._steps[self._stop] = step
        self._values[self._stop] = narrow
        self._stop += 1
        self._remember(step, narrow)

    def extend(self, steps: Steps, rows: NDArray[np.floating]) -> None:
        """Add `rows` at `steps`; where the steps do not simply go on, one by one."""
        newest = self._steps[self._stop - 1] if self._stop > self._start else -1
        if not len(steps) or steps[0] <= newest or (np.diff(steps) <= 0).any():
            for step, row in zip(steps, rows, strict=True):
                self.put(int(step), row)
            return
        narrow = as_float32(rows) if self._dtype is np.float32 else rows.astype(np.float64)
        self._reserve(len(steps))
        stop = self._stop + len(steps)
        self._steps[self._stop : stop] = steps
        self._values[self._stop : stop] = narrow
        self._stop = stop
        for step, row in zip(steps[:HEAD_ROWS], narrow[:HEAD_ROWS], strict=True):
            self._remember(int(step), row)

    def drop_before(self, step: int) -> None:
        """Forget rows older than `step`; the head stays."""
        self._start += int(np.searchsorted(self.steps, step))

    def drop_from(self, step: int) -> None:
        """Forget rows at `step` and later, in the head too."""
        self._stop = self._start + int(np.searchsorted(self.steps, step))
        keep = sum(1 for known in self._head_steps if known < step)
        del self._head_steps[keep:]
        del self._head[keep:]

    def _remember(self, step: int, row: NDArray[np.floating]) -> None:
        """Keep `row` among the first ones, if it is one of them."""
        at = bisect_left(self._head_steps, step)
        if at < len(self._head_steps) and self._head_steps[at] == step:
            self._head[at] = row.copy()
        elif at < HEAD_ROWS:
            self._head_steps.insert(at, step)
            self._head.insert(at, row.copy())
            del self._head_steps[HEAD_ROWS:], self._head[HEAD_ROWS:]

    def _merge(self, step: int, row: NDArray[np.floating]) -> None:
        at = self._start + int(np.searchsorted(self.steps, step))
        if self._steps[at] != step:
            self._reserve()
            at = self._start + int(np.searchsorted(self.steps, step))
            self._steps[at + 1 : self._stop + 1] = self._steps[at : self._stop].copy()
            self._values[at + 1 : self._stop + 1] = self._values[at : self._stop].copy()
            self._steps[at] = step
            self._values[at] = row
            self._stop += 1
        else:
            measured = ~np.isnan(row)
            self._values[at, measured] = row[measured]
        self._remember(step, self._values[at])

    def _reserve(self, rows: int = 1) -> None:
        if self._stop + rows <= len(self._steps):
            return
        count = self._stop - self._start
        size = len(self._steps) if self._start >= len(self._steps) // 2 else 2 * len(self._steps)
        size = max(size, count + rows)
        steps = np.empty(size, dtype=np.int64)
        values = np.empty((size, self.num_sites), dtype=self._dtype)
        steps[:count], values[:count] = self.steps, self.values
        self._steps, self._values, self._start, self._stop = steps, values, 0, count
