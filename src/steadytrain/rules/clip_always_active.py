"""Clipping sets the length of nearly every step, and by a lot.

## What it sees
Over the last hundred steps the clip acted on nearly all of them and left less than a tenth of
the gradient on the median one. Then every step has the same length, whatever the gradient says.
A clip that takes half of it, or acts at the start only, is at its work. Above a hundredth it is
only noted: small batches have gradients that large, and follow their direction all the same.

## Why it matters
With plain SGD the threshold has become the learning rate; with any optimizer a large gradient
no longer tells a bad batch from a good one, and what looks stable in the log is the threshold.

## Fires on
    clip_coefficient 0.099x120

## Stays silent on
    clip_coefficient 0.101x120

    clip_coefficient 0.001x90

    clip_coefficient 0.001x60 1.0x60

## What to do
Set the threshold near the median gradient norm before clipping (it is in this finding), or
lower the learning rate when it is the norms that are too large. Check that the loss is a mean.

## Source
Pascanu, Mikolov, Bengio 2013: the threshold as the average norm times a factor of a half to ten.
Batches of two samples at the usual threshold of 1 leave 0.08 and train, a Gaussian likelihood 0.02;
a threshold that stops a run is smaller by orders.
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


@rule(
    code="OPT004",
    causes=("clip-too-tight", "loss-reduction", "exploding-gradient", "unscale-order"),
    repeat_after=1000,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class ClipAlwaysActive:
    """Options of the rule."""

    max_coefficient: float = 0.1
    """Share of the gradient that the clip must leave on the median step."""
    max_alarming: float = 0.01
    """Share of the gradient up to which it is a warning; above it is a note."""
    min_active: float = 0.95
    """Share of steps on which a clip that rules the step acts."""
    window: int = 100
    """Steps looked back."""

    def __post_init__(self) -> None:
        if not (0 < self.max_coefficient < 1 and 0 < self.min_active <= 1):
            msg = f"max_coefficient and min_active are shares, got {self.max_coefficient} and"
            raise ValueError(f"{msg} {self.min_active}. Try 0.1 and 0.95.")
        if not 0 < self.max_alarming <= self.max_coefficient:
            msg = f"max_alarming must be above 0 and at most {self.max_coefficient}, got"
            raise ValueError(f"{msg} {self.max_alarming}: it is the graver share. Try 0.01.")
        if not 10 <= self.window <= 500:
            msg = f"window must be 10 to 500 steps, got {self.window}: it says what is usual."
            raise ValueError(f"{msg} Try 100.")

    @property
    def lookback(self) -> int:
        return self.window

    def check(self, history: History, /) -> Iterator[Finding]:
        clips = trail(history, "clip_coefficient")
        low = clips.rows[clips.values[clips.rows] < 1]
        if not len(low) or not (clips.values[low] < self.max_coefficient).any():
            return
        seen = clips.before(low, self.window, reach=self.window - 1, lag=-1)
        usual, full = median(seen), np.isfinite(seen).all(axis=-1)
        active = (seen < 1).mean(axis=-1)
        hit = full & (usual < self.max_coefficient) & (active >= self.min_active)
        for at in np.flatnonzero(hit):
            yield self._finding(history, int(clips.steps[low[at]]), usual[at], active[at])

    def _finding(self, history: History, step: int, usual: float, active: float) -> Finding:
        start = step - self.window + 1
        norms = history.between("grad_norm_total", start, step + 1)[:, 0]
        limits = history.between("max_grad_norm", start, step + 1)[:, 0]
        norm, limit = float(median(norms)), float(median(limits))
        first = history.head("loss", 1)[1]
        large = len(first) > 0 and bool(np.abs(first[0, 0]) > 100)
        causes = ("loss-reduction", "target-not-normalized", "reward-scale") if large else ()
        near = (
            f" (median norm {number(norm)}, threshold {number(limit)})"
            if norm > 0 and limit > 0
            else ""
        )
        return state(
            self,
            step=step,
            severity=Severity.WARNING if usual <= self.max_alarming else Severity.NOTE,
            causes=causes,
            message=f"Clipping acted on {active:.0%} of the last {self.window} steps and left "
            f"{number(usual)} of the gradient on the median one{near}; above {number(self.max_coefficient)} "
            "the gradient still rules the step. Raise the threshold to the median norm.",
            evidence={
                "clip_coefficient": usual,
                "active_fraction": active,
                "grad_norm": norm,
                "max_norm": limit,
            },
        )
