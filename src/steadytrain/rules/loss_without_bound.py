"""The loss falls below zero and on without end.

## What it sees
A loss that is negative and larger in magnitude, many times over, than anything at the run's
beginning, and still falling. Log-likelihoods of continuous data go below zero and level off.

## Why it matters
What is minimised has no minimum: a sign is wrong, a term is subtracted, or a likelihood is taken of what is
no logarithm, and the weights grow without learning anything.

## Fires on
    loss 3.0x16 -70x20 -71x16

## Stays silent on
    loss 3.0x16 -50x20 -50x16

    loss -9.0x16 -90x52

## What to do
Look at the signs of all terms; likelihoods, rewards and margins are to be negated for a minimiser.

## Source
Twenty times the beginning: control runs with negative losses stay below five times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import median, trail
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import number


@rule(code="LOS001", causes=("loss-sign", "loss-input-mismatch"), repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class LossWithoutBound:
    """Options of the rule."""

    max_factor: float = 20.0
    """Magnitude below zero, over the largest of the run's first losses."""

    def __post_init__(self) -> None:
        if not self.max_factor > 1:
            msg = (
                f"max_factor must be above 1, got {self.max_factor}: it is a multiple of the start."
            )
            raise ValueError(f"{msg} Try 20.")

    @property
    def lookback(self) -> int:
        return 64

    def check(self, history: History, /) -> Iterator[Finding]:
        losses = trail(history, "loss")
        first = history.head("loss", 16)[1]
        rows = losses.rows
        if len(first) < 16 or not len(rows):
            return
        largest = max(float(np.nanmax(np.abs(first[:4]))), 1.0)
        low = rows[losses.values[rows] < -self.max_factor * largest]
        if not len(low):
            return
        now = median(losses.before(low, 8, reach=16, lag=-1))
        past = median(losses.before(low, 8, reach=40, lag=16))
        falling = (now < past - 0.01 * np.abs(past)) & (now < -self.max_factor * largest)
        for at in np.flatnonzero(falling):
            yield self._finding(int(losses.steps[low[at]]), float(now[at]), largest)

    def _finding(self, step: int, level: float, largest: float) -> Finding:
        return state(
            self,
            step=step,
            severity=Severity.CRITICAL,
            message=f"The loss is {number(level)} and falling; at the start it was at most {number(largest)} in "
            "magnitude. What is minimised has no minimum: look at the signs of its terms.",
            evidence={"level": level, "beginning": largest},
        )
