"""Gradients of a finished step are still there when the next backward begins.

## What it sees
When backward began, nearly all trained parameters still held a non-zero gradient that an
optimizer step had used already; three steps in a row. The backward passes of one accumulated
step are not stale for each other.

## Why it matters
Backward adds to what is there: every step then goes along the sum of all gradients since the
start, like a momentum of one.

## Fires on
    stale_grad_fraction 0 1.0x3

    stale_grad_fraction 0 0.91x3

## Stays silent on
    stale_grad_fraction 0 1.0x2 0

    stale_grad_fraction 0 0.89x30

    stale_grad_fraction 0x50
    num_microbatches 4x50

## What to do
Call `optimizer.zero_grad()` after every `optimizer.step()`, or before every first backward of a
step.

## Source
No measurement is needed for the value: without the fault it is 0, with it 1. A tenth is left for
parameters that have no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import trail
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import number


@rule(code="LOP001", causes=("missing-zero-grad", "step-order"))
@dataclass(frozen=True, slots=True, kw_only=True)
class StaleGradients:
    """Options of the rule."""

    max_fraction: float = 0.9
    """Share of the trained parameters that may hold a used gradient."""
    min_steps: int = 3
    """Measured steps in a row."""

    def __post_init__(self) -> None:
        if not 0 < self.max_fraction < 1:
            msg = f"max_fraction must be between 0 and 1, got {self.max_fraction}: it is a share of"
            raise ValueError(f"{msg} the parameters. Try 0.9.")
        if not 1 <= self.min_steps <= 50:
            msg = f"min_steps must be 1 to 50, got {self.min_steps}: the fault shows on every step."
            raise ValueError(f"{msg} Try 3.")

    @property
    def lookback(self) -> int:
        return 10 * self.min_steps

    def check(self, history: History, /) -> Iterator[Finding]:
        shares = trail(history, "stale_grad_fraction")
        if not (shares.values[shares.rows] > self.max_fraction).any():
            return
        seen = shares.before(shares.rows, self.min_steps, reach=self.lookback, lag=-1)
        for row in np.flatnonzero((seen > self.max_fraction).all(axis=-1)):
            yield self._finding(history, int(shares.steps[shares.first + row]), seen[row, -1])

    def _finding(self, history: History, step: int, share: float) -> Finding:
        first = history.head("grad_norm_total", 1)[1]
        norm = history.between("grad_norm_total", step, step + 1)[0, 0]
        grown = (
            f" The gradient norm is {number(norm)}, at the start it was {number(first[0, 0])}."
            if len(first) and np.isfinite(norm)
            else ""
        )
        return state(
            self,
            step=step,
            severity=Severity.CRITICAL,
            message=f"{share:.0%} of the trained parameters still held the gradient of a finished step when "
            f"backward began (0% is right), {self.min_steps} steps in a row, so gradients add up.{grown} Call "
            "optimizer.zero_grad() once per step.",
            evidence={"stale_grad_fraction": share, "grad_norm": norm},
        )
