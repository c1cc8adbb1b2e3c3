"""The loss falls a little at most steps and jumps up at a few: the teeth of a saw.

## What it sees
Over 128 steps of a positive loss: it fell at nearly two thirds of the steps or more, rose by half of
its level or more at several, and neighbouring losses are alike. Noise of shuffled batches rises as
often as it falls, and two neighbours have nothing in common.

## Why it matters
Batches that come ordered, by class or by source, teach the network the class of the moment and let
it forget the others; every change of class is a jump.

## Fires on
    loss 1.0->0.1x16 1.0->0.1x16 1.0->0.1x16 1.0->0.1x16 1.0->0.1x16 1.0->0.1x16 1.0->0.1x16 1.0->0.1x16

## Stays silent on
    loss 1.0->0.1x25 1.0->0.1x25 1.0->0.1x25 1.0->0.1x25 1.0->0.1x25 0.2x3

    loss 2.0->0.1x128

## What to do
Shuffle before every epoch; draw every batch from all sources; give a stream a buffer to draw from.

## Source
Of 128 signs, 83 are more than three standard deviations above half. Six jumps: warm restarts and
curricula of the controls have fewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.columns import Floats
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import trail
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import number

WINDOW: Final = 128

MIN_FALLS: Final = 0.65
"""Share of the steps at which the loss must have fallen."""

LEAST: Final = 0.05
"""Share of the first loss that a jump has at least: near nothing, noise is a multiple of the loss."""

MIN_LIKENESS: Final = 0.4
"""Correlation of a loss with the one before it, trend taken out."""


@rule(code="DAT002", causes=("data-not-shuffled", "lr-too-high"))
@dataclass(frozen=True, slots=True, kw_only=True)
class SawtoothLoss:
    """Options of the rule."""

    min_jumps: int = 6
    """Jumps within the window."""
    min_jump: float = 0.5
    """Rise of a jump over the window's median loss."""

    def __post_init__(self) -> None:
        if not (self.min_jumps >= 2 and self.min_jump > 0):
            msg = f"min_jumps must be at least 2 and min_jump above 0, got {self.min_jumps} and"
            raise ValueError(f"{msg} {self.min_jump}. Try 6 and 0.5.")

    @property
    def lookback(self) -> int:
        return WINDOW

    def check(self, history: History, /) -> Iterator[Finding]:
        losses = trail(history, "loss")
        rows = losses.rows
        rows = rows[losses.begins(16)[rows] | (losses.steps[rows] % 16 == 15)]
        if not len(rows):
            return
        first = history.head("loss", 1)[1]
        least = LEAST * abs(float(first[0, 0])) if len(first) else 0.0
        windows = losses.before(rows, WINDOW, reach=WINDOW, lag=-1)
        for row, window in zip(rows, windows, strict=True):
            if not (window > 0).all():
                continue
            rises = np.diff(window)
            falls, level = float((rises < 0).mean()), float(np.median(window))
            jumps = int((rises > max(self.min_jump * level, least)).sum())
            if jumps >= self.min_jumps and falls >= MIN_FALLS and _likeness(window) > MIN_LIKENESS:
                yield self._finding(int(losses.steps[row]), falls, jumps, level)

    def _finding(self, step: int, falls: float, jumps: int, level: float) -> Finding:
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            message=f"Over {WINDOW} steps the loss fell at {falls:.0%} of them and jumped {jumps} times by more than "
            f"half of its level of {number(level)}, where shuffled batches rise and fall alike: the data comes "
            "ordered. Shuffle before every epoch.",
            evidence={"falls": falls, "jumps": jumps, "level": level},
        )


def _likeness(window: Floats) -> float:
    """The correlation of neighbours about the straight line, in logarithms; 0 without spread."""
    logs, times = np.log(window), np.arange(len(window)) - (len(window) - 1) / 2
    logs = logs - logs.mean()
    rest = logs - times * (times @ logs) / (times @ times)
    spread = float(rest @ rest)
    if not spread > 0.4**2 * len(window):
        return 0.0
    return float(rest[1:] @ rest[:-1]) / spread
