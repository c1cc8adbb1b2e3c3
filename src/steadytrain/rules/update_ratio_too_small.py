"""The steps are too small to change anything.

## What it sees
The median over the weight matrices of update norm over weight norm stays below 1e-5 while the
learning rate is steady and the loss stands where it began. A warm-up, a decayed rate and a run
that has learned already (or was trained before) make small steps for good reasons.

## Why it matters
At a millionth per step a hundred thousand steps are needed before the weights are others.

## Fires on
    loss 2.3x300
    update_ratio@a.weight 0.9e-5x300
    update_ratio@b.weight 0.9e-5x300

## Stays silent on
    loss 2.3x300
    update_ratio@a.weight 1.1e-5x300
    update_ratio@b.weight 1.1e-5x300

    loss 2.3->0.5x300
    update_ratio@a.weight 1e-7x300
    update_ratio@b.weight 1e-7x300

    learning_rate 1e-6..1e-3x300
    loss 2.3x300
    update_ratio@a.weight 1e-8..1e-5x300
    update_ratio@b.weight 1e-8..1e-5x300

## What to do
Raise the learning rate tenfold, and again. Where gradients vanish, mend that first. In low
precision look at the share of updates that are lost.

## Source
About 1e-3 is usual (Karpathy, CS231n notes). With float32 a ratio of 6e-8 is rounded away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import median, trail
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import matrix_medians
from steadytrain.rules._extent import number
from steadytrain.rules._schedule import is_steady
from steadytrain.rules._standstill import standstill, tenth_steps


@rule(
    code="OPT003",
    causes=(
        "lr-too-low",
        "adam-eps",
        "vanishing-gradient",
        "clip-too-tight",
        "low-precision-update-lost",
    ),
)
@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRatioTooSmall:
    """Options of the rule."""

    min_ratio: float = 1e-5
    """Update over weight that the median matrix must reach."""
    window: int = 200
    """Steps it must have stayed below."""

    def __post_init__(self) -> None:
        if not self.min_ratio > 0:
            msg = f"min_ratio must be above 0, got {self.min_ratio}: it is update over weight."
            raise ValueError(f"{msg} Try 1e-5.")
        if not 40 <= self.window <= 500:
            msg = (
                f"window must be 40 to 500 steps, got {self.window}: noise hides a slope in fewer."
            )
            raise ValueError(f"{msg} Try 200.")

    @property
    def lookback(self) -> int:
        return self.window

    def check(self, history: History, /) -> Iterator[Finding]:
        losses = trail(history, "loss")
        rows = tenth_steps(losses)
        now = matrix_medians(history, "update_ratio", losses.steps[rows].tolist())
        rows = rows[now < self.min_ratio]
        if not len(rows):
            return
        seen = standstill(history, losses, rows, self.window)
        for at in np.flatnonzero(seen.still == 1):
            step = int(losses.steps[rows[at]])
            usual = self._usual(history, step)
            if usual < self.min_ratio and is_steady(history, step, self.window):
                yield self._finding(step, usual, seen.level[at], seen.beginning)

    def _usual(self, history: History, step: int) -> float:
        """The median of every tenth step of the window: it lasts, so a sample tells."""
        looks = range(step - self.window + 10, step + 1, 10)
        return float(median(matrix_medians(history, "update_ratio", looks)))

    def _finding(self, step: int, usual: float, level: float, beginning: float) -> Finding:
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            message=f"The median weight matrix changes by {number(usual)} of its size per step, where 1e-3 is "
            f"usual, and the loss stands at {number(level)} where it began ({number(beginning)}). Raise the "
            "learning rate tenfold, and again.",
            evidence={
                "update_ratio": usual,
                "min_ratio": self.min_ratio,
                "level": level,
                "beginning": beginning,
            },
        )
