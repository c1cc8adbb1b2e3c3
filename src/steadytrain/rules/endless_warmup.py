"""The warmup is longer than any training.

## What it sees
The learning rate has risen in a straight line since the run began, and after two hundred steps it is
so small a part of the rate that the schedule was given that it would arrive there only after more
than 35,000 steps.

## Why it matters
The run trains at a fraction of its rate for days; the loss falls, and nothing looks wrong but the
speed.

## Fires on
    base_learning_rate@group0 1.0
    learning_rate@group0 2.75e-5..5.71e-3x211

## Stays silent on
    base_learning_rate@group0 1.0
    learning_rate@group0 3e-5..6.33e-3x211

    base_learning_rate@group0 1.0
    learning_rate@group0 5.7e-3x211

## What to do
Give the length of the warmup in optimizer steps: divide a length in samples or tokens by what a step
takes in.

## Source
The longest warmups published are of 32,000 steps (wav2vec 2.0 and HuBERT, 400,000 steps in all).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import tenth_rows
from steadytrain.rules._extent import number

WINDOW: Final = 200

STRAIGHT: Final = 0.02
"""Share of the rate by which it may be off the line through zero."""


@rule(code="OPT012", causes=("lr-schedule-wrong", "lr-too-low"), repeat_after=10_000)
@dataclass(frozen=True, slots=True, kw_only=True)
class EndlessWarmup:
    """Options of the rule."""

    max_steps: int = 35_000
    """Steps that a warmup may take."""

    def __post_init__(self) -> None:
        if not self.max_steps >= WINDOW:
            msg = (
                f"max_steps must be at least {WINDOW}, got {self.max_steps}: it is looked at then."
            )
            raise ValueError(f"{msg} Try 35,000.")

    @property
    def lookback(self) -> int:
        return WINDOW // 2

    def check(self, history: History, /) -> Iterator[Finding]:
        base = history.head("base_learning_rate", 1)[1]
        if not len(base):
            return
        for step, rates in tenth_rows(history, "learning_rate"):
            if step - history.first_step < WINDOW:
                continue
            group = int(np.nanargmax(rates))
            before = history.between("learning_rate", step - WINDOW // 2, step)[0, group]
            length = self._length(step, float(rates[group]), float(before), base[0], group)
            if length > self.max_steps:
                yield self._finding(step, float(rates[group]), float(base[0, group]), length)

    def _length(self, step: int, rate: float, before: float, base: np.ndarray, group: int) -> float:
        """Steps after which a line through zero and these two rates is at the base rate."""
        if group >= len(base) or not (rate > 0 and base[group] > 0):
            return float("nan")
        slope = (rate - before) / (WINDOW // 2)
        expected = slope * (step + 1)
        straight = slope > 0 and abs(rate - expected) <= STRAIGHT * rate
        return float(base[group] / slope) if straight else float("nan")

    def _finding(self, step: int, rate: float, base: float, length: float) -> Finding:
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            message=f"The learning rate is {number(rate)} after {step + 1} steps of a warmup that arrives at "
            f"{number(base)} after {length:,.0f} steps; above {self.max_steps:,} none is known. Give its length in "
            "optimizer steps, not in samples or tokens.",
            evidence={"learning_rate": rate, "base_learning_rate": base, "warmup_steps": length},
        )
