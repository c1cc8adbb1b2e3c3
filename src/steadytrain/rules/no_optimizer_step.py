"""Losses are logged and gradients computed, and no step is taken.

## What it sees
More than fifty losses were logged for one step of the optimizer, which has not come. Accumulation
over some dozens of microbatches is something else.

## Why it matters
Nothing is trained; the loss only shows the batches.

## Fires on
    num_losses 51

## Stays silent on
    num_losses 50

    num_losses 300x2
    update_norm@a.weight 0.1x2

## What to do
Call `optimizer.step()` after backward; where it stands inside a condition, print how often it is
true. Watch the optimizer that is stepped.

## Source
No measurement is needed: a step writes a row, and this one has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import number


@rule(code="LOP005", causes=("missing-optimizer-step", "stale-optimizer-params"))
@dataclass(frozen=True, slots=True, kw_only=True)
class NoOptimizerStep:
    """Options of the rule."""

    max_losses: int = 50
    """Losses that may be logged for a step that has not come."""

    def __post_init__(self) -> None:
        if not self.max_losses >= 1:
            msg = f"max_losses must be at least 1, got {self.max_losses}: a step has a loss."
            raise ValueError(f"{msg} Try 50.")

    @property
    def lookback(self) -> int:
        return 0

    def check(self, history: History, /) -> Iterator[Finding]:
        steps, counts = history.measured("num_losses")
        for row in np.flatnonzero((counts[:, 0] > self.max_losses) & (steps >= history.fresh)):
            step = int(steps[row])
            moved = [
                np.isfinite(history.between(stat, step, step + 1)).any()
                for stat in ("update_norm", "learning_rate", "grad_norm")
            ]
            if not any(moved):
                yield self._finding(step, float(counts[row, 0]))

    def _finding(self, step: int, count: float) -> Finding:
        return state(
            self,
            step=step,
            severity=Severity.CRITICAL,
            message=f"{number(count)} losses were logged since the optimizer last stepped, {self.max_losses} is a "
            "lot even for accumulation: nothing is trained. Call optimizer.step() after backward, and "
            "watch the optimizer that is stepped.",
            evidence={"num_losses": count},
        )
