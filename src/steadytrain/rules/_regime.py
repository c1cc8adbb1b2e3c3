"""What a jump of the loss is to be compared with: the run's regime, and what it has gained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.columns import Floats, Steps
from steadytrain.core.history import History
from steadytrain.core.robust import median

MIN_RESTART: Final = 1.5
"""Factor by which the learning rate must rise in one step to begin a new regime."""

BEGINNING_ROWS: Final = 16

RESOLUTION: Final = 1e-3
"""Share of its own magnitude below which a change of the loss is none."""


def regimes(history: History, steps: Steps) -> Steps:
    """For each of `steps`, the step at which its regime began.

    A warm restart lifts the loss as much as a fault does; what was plausible before it says
    nothing about what comes after.
    """
    rated, rates = history.measured("learning_rate")
    begins = np.full(len(steps), np.iinfo(np.int64).min)
    if len(rated) < 2:
        return begins
    known = np.where(np.isfinite(rates), rates, -np.inf).max(axis=1)
    jumps = rated[1:][(known[1:] > MIN_RESTART * known[:-1]) & (known[1:] > 0)]
    if len(jumps):
        last = np.searchsorted(jumps, steps, side="right") - 1
        begins = np.where(last >= 0, jumps[np.maximum(last, 0)], begins)
    return begins


@dataclass(frozen=True, slots=True)
class Floor:
    """The smallest rise of the loss that matters to anybody."""

    beginning: float
    """The median of the run's first losses."""

    @classmethod
    def of(cls, history: History) -> Floor:
        rows = history.head("loss", BEGINNING_ROWS)[1]
        return cls(float(median(rows[:, 0])) if len(rows) else float("nan"))

    def least(self, expected: Floats, share: float) -> Floats:
        """`share` of what was gained since the beginning, and never less than the resolution."""
        return np.fmax(share * np.abs(self.beginning - expected), RESOLUTION * np.abs(expected))
