"""Adam divides by gradients of long ago.

## What it sees
The root of Adam's second moment stands far above the gradients that arrive now, after clipping, in
most weight matrices and for several looks: it remembers the large gradients of another time.

## Why it matters
Every step is too short by that factor, for as long as the memory lasts: with a beta2 of 0.999 some
thousand steps, with 0.9999 ten thousand.

## Fires on
    second_moment_rms@a.weight 15.1x8
    second_moment_rms@b.weight 15.1x8
    grad_rms@a.weight 1x8
    grad_rms@b.weight 1x8
    loss 2x8

## Stays silent on
    second_moment_rms@a.weight 14.9x8
    second_moment_rms@b.weight 14.9x8
    grad_rms@a.weight 1x8
    grad_rms@b.weight 1x8
    loss 2x8

    second_moment_rms@a.weight 18x8
    second_moment_rms@b.weight 1.2x8
    grad_rms@a.weight 1x8
    grad_rms@b.weight 1x8
    loss 2x8

## What to do
Lower beta2 to 0.95, warm up longer, or clip the gradients of the beginning.

## Source
Wortsman et al. 2023 (Stable and low-precision training), section 3, on second moments that are out
of date; there too small, here too large.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.columns import Floats
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import weight_sites
from steadytrain.rules._extent import named, number

LOOKS: Final = 6

RECENT: Final = 24
"""Steps whose gradients, together, are those that arrive now."""


@rule(code="OPT008", causes=("adam-beta2-too-high", "missing-grad-clip", "lr-too-low"))
@dataclass(frozen=True, slots=True, kw_only=True)
class StaleSecondMoment:
    """Options of the rule."""

    max_ratio: float = 15.0
    """Root of the second moment over the gradient, for the median matrix."""

    def __post_init__(self) -> None:
        if not self.max_ratio > 1:
            msg = f"max_ratio must be above 1, got {self.max_ratio}: it is second moment over gradient."
            raise ValueError(f"{msg} Try 15.")

    @property
    def lookback(self) -> int:
        return 128 + RECENT

    def check(self, history: History, /) -> Iterator[Finding]:
        steps, _ = history.measured("second_moment_rms")
        for step in steps[steps >= history.fresh].tolist():
            own = steps[(steps <= step) & (steps >= step - 128)][-LOOKS:].tolist()
            if len(own) < LOOKS:
                continue
            # The size over some steps is at least that of the newest over the root of their number.
            if not _median(_ratios(history, step, 1)) > self.max_ratio / RECENT**0.5:
                continue
            ratios = np.array([_ratios(history, look) for look in own])
            usual = np.array([_median(row) for row in ratios])
            if (usual > self.max_ratio).all() and not _has_fallen(history, step):
                yield self._finding(history, step, float(np.median(usual)), ratios[-1])

    def _finding(self, history: History, step: int, usual: float, ratios: Floats) -> Finding:
        names = history.sites("second_moment_rms")
        hit = ratios > self.max_ratio
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            site=names[int(np.argmax(hit))],
            message=f"Adam's second moment stands for gradients {number(usual)} times as large as those that "
            f"arrive (median matrix, {LOOKS} looks; {number(self.max_ratio)} is a lot), so every step is that "
            "much too short. Lower beta2 to 0.95, or clip the gradients it remembers.",
            evidence={"ratio": usual, "parameters": named(names, hit)},
        )


def _ratios(history: History, step: int, steps: int = RECENT) -> Floats:
    """Root of the second moment over the clipped gradient's size, biases left out."""
    kept = history.between("clip_coefficient", step - steps + 1, step + 1)
    moment = history.between("second_moment_rms", step, step + 1)[0]
    rows = history.between("grad_rms", step - steps + 1, step + 1) * np.where(kept > 0, kept, 1.0)
    count = np.isfinite(rows).sum(axis=0)
    grads = np.sqrt(np.nansum(np.square(rows), axis=0) / np.maximum(count, 1))
    weights = weight_sites(history.sites("grad_rms"))[0]
    known = weights & (grads > 0) & np.isfinite(moment) & np.isfinite(grads)
    return np.where(known, moment / np.where(known, grads, 1.0), np.nan)


def _median(row: Floats) -> float:
    known = row[np.isfinite(row)]
    return float(np.median(known)) if len(known) else float("nan")


def _has_fallen(history: History, step: int) -> bool:
    """Whether the loss is near nothing: gradients then vanish faster than any memory."""
    first = history.head("loss", 8)[1]
    now = history.between("loss", step - 15, step + 1)[:, 0]
    now = now[np.isfinite(now)]
    return bool(len(first) and len(now) and np.median(now) < 0.1 * np.median(first[:, 0]))
