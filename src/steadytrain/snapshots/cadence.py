"""How often to take a snapshot: as often as a stated share of the time allows."""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import Final

_NUM_INTERVALS: Final = 21
_NUM_COPIES: Final = 5


class Cadence:
    """The steps between two snapshots, from what a step and what a copy was measured to take.

    With an interval of k steps the share of the wall time is copy / (k * step), so that
    k = copy / (share * step), rounded up. A step is the median of the last ones, so that a pause
    (a validation, a checkpoint) does not make snapshots rarer or more frequent; a copy is the
    median of the last few, because the first one also asks the system for its memory.

    Args:
        max_share: largest share of the wall time that snapshots may take.
        every: steps between two snapshots; None chooses them from the measurements. On several
            ranks give it, because every rank must choose the same.
        clock: seconds from any beginning on, never going back.

    Example:
        ```python
        from steadytrain.snapshots.cadence import Cadence

        cadence = Cadence(max_share=0.01)
        cadence.note_copy(0.004)
        cadence.note_step(0.1)
        assert cadence.interval == 4
        ```
    """

    def __init__(
        self,
        *,
        max_share: float = 0.01,
        every: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.max_share = max_share
        self._every = every
        self._clock = clock
        self._steps: deque[float] = deque(maxlen=_NUM_INTERVALS)
        self._copies: deque[float] = deque(maxlen=_NUM_COPIES)
        self._last: tuple[int, float] | None = None

    @property
    def step_seconds(self) -> float:
        """The median step; NaN before one was measured."""
        return statistics.median(self._steps) if self._steps else math.nan

    @property
    def copy_seconds(self) -> float:
        """The median copy; NaN before one was measured."""
        return statistics.median(self._copies) if self._copies else math.nan

    @property
    def interval(self) -> int:
        """Steps from one snapshot to the next; 1 while nothing is known."""
        if self._every is not None:
            return self._every
        wanted = self.copy_seconds / max(self.max_share * self.step_seconds, 1e-12)
        return max(1, math.ceil(wanted)) if wanted > 0 else 1

    def pass_step(self, step: int) -> None:
        """The step is finished now; the time since the one before it was its own."""
        now = self._clock()
        if self._last is not None and step == self._last[0] + 1:
            self.note_step(now - self._last[1])
        self._last = (step, now)

    def note_step(self, seconds: float) -> None:
        """A step took so long."""
        self._steps.append(seconds)

    def note_copy(self, seconds: float) -> None:
        """A snapshot took so long; that time belongs to no step."""
        self._copies.append(seconds)
        if self._last is not None:
            self._last = (self._last[0], self._last[1] + seconds)
