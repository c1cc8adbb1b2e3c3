"""Memory grows with every step.

## What it sees
At nearly every measurement of the last two hundred steps more memory was held than at the one
before, by 5% in all, no slower in the second half than in the first and not in one leap. The
accelerator's memory is a fault; the resident memory of the process is one where the steps become
longer too, and is only noted where they do not: a mapped data file looks like that.

## Why it matters
Memory that grows by the step ends the run, after hours, with an error that names another place.

## Fires on
    device_memory_bytes 1000 1000..1051x20

    memory_bytes 1000 1000..1051x20

## Stays silent on
    device_memory_bytes 1000 1000..1049x20

    device_memory_bytes 1000x10 1200x10

    memory_bytes 1000 1000 1040 1060 1070 1075 1077 1078 1079 1080 1081

## What to do
Sum `loss.item()` or `loss.detach()`, detach a hidden state between batches, remove
`retain_graph=True`, and keep no outputs that still have a graph in a list.

## Source
PyTorch's FAQ, "My model reports cuda runtime error: out of memory". Healthy programs of the zoo
grew by less than 1% after their first measurement, ever more slowly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.columns import Floats, Steps
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import Rows, median, trail
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import number

WINDOW: Final = 200
POINTS: Final = 20
"""Measurements of the window that are looked at; there is one every ten steps or more."""

LONGER: Final = 1.5
"""Factor by which steps must have become longer for the process's memory to be more than noted."""

MUCH: Final = 1.25
"""Factor by which it must have grown to be more than noted where they have not: a buffer of replayed
samples that fills up stays far below it."""


@rule(code="LOP003", causes=("graph-retained",), repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryGrowth:
    """Options of the rule."""

    max_growth: float = 0.05
    """Share of the memory at the window's start by which it may grow."""
    min_points: int = 5
    """Measurements that must have risen, the first of the run left out."""

    def __post_init__(self) -> None:
        if not (self.max_growth > 0 and 4 <= self.min_points <= POINTS):
            msg = f"max_growth must be above 0 and min_points 4 to {POINTS}, got {self.max_growth}"
            raise ValueError(f"{msg} and {self.min_points}. Try 0.05 and 5.")

    @property
    def lookback(self) -> int:
        return WINDOW

    def check(self, history: History, /) -> Iterator[Finding]:
        for stat in ("device_memory_bytes", "memory_bytes"):
            held = trail(history, stat)
            began = history.head(stat, 1)[0]
            for row in range(held.first, len(held.steps)):
                oldest = max(int(held.steps[row]) - WINDOW, int(began[0]) + 1)
                first = int(np.searchsorted(held.steps, oldest))
                kept = _spread_out(np.arange(first, row + 1, dtype=np.int64))
                if self._grows(held.steps[kept], held.values[kept]):
                    step, since = int(held.steps[row]), int(held.steps[kept[0]])
                    yield self._finding(history, stat, step, since, held.values[kept])

    def _grows(self, steps: Steps, values: Floats) -> bool:
        """Whether it rose nearly every time, not ever more slowly and not in one leap."""
        if len(values) < self.min_points + 1 or not values[0] > 0:
            return False
        rises = np.diff(values)
        whole, half = float(values[-1] - values[0]), len(values) // 2
        early = (values[half] - values[0]) / max(int(steps[half] - steps[0]), 1)
        late = (values[-1] - values[half]) / max(int(steps[-1] - steps[half]), 1)
        return bool(
            whole > self.max_growth * values[0]
            and (rises > 0).mean() >= 0.9
            and late >= 0.7 * early
            and rises.max() <= 0.5 * whole
        )

    def _finding(
        self, history: History, stat: str, step: int, since: int, values: Floats
    ) -> Finding:
        seconds = history.between("step_seconds", since, step + 1)[:, 0]
        third = max(1, len(seconds) // 3)
        longer = float(median(seconds[-third:]) / median(seconds[:third]))
        what = "Device memory" if stat.startswith("device") else "Resident memory"
        much = values[-1] > MUCH * values[0]
        certain = stat.startswith("device") or longer >= LONGER or much
        return state(
            self,
            step=step,
            severity=Severity.WARNING if certain else Severity.NOTE,
            message=f"{what} rose from {number(values[0])} to {number(values[-1])} bytes in {step - since} "
            f"steps, at {len(values) - 1} measurements, and does not slow down. Graphs are kept: sum "
            "loss.item(), detach what is carried between batches, remove retain_graph=True.",
            evidence={"memory_bytes": values[-1], "at_first": values[0], "step_time_ratio": longer},
        )


def _spread_out(rows: Rows) -> Rows:
    """At most `POINTS` of the rows, evenly: long steps are measured one by one."""
    if len(rows) <= POINTS:
        return rows
    return rows[np.linspace(0, len(rows) - 1, POINTS).astype(np.int64)]
