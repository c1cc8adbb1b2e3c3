"""The loss scale falls and does not come back.

## What it sees
One of three things. The scale is below 1: gradients are made smaller than they are and overflow
all the same. It has fallen more than fiftyfold below its level of the last two hundred steps, by
six halvings or more. It stands at a floor while nearly every step is skipped. The search for a
scale in the first steps, and an overflow now and then, are how a scaler works.

## Why it matters
Every halving is a step that was thrown away; below 1 small gradients are lost to underflow, and
a scaler without a floor ends at zero and divides by it.

## Fires on
    loss_scale 65536x60 1024

    loss_scale 2->0.5x20

    loss_scale 1x40
    step_skipped 1x40

## Stays silent on
    loss_scale 65536x60 2048

    loss_scale 16777216->1x25 1x60

    loss_scale 1x40
    step_skipped 0.0x3 1x31

    loss_scale 65536x300
    step_skipped 0x280 1 0x19

## What to do
Find the module whose output or gradient is largest and compute it in float32, lower the learning
rate, or train in bfloat16, which needs no scale.

## Source
Micikevicius et al. 2018, section 3.2: the scale is halved at an overflow and doubled after 2,000
steps without. Below 1 it does the reverse of its purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import ordered, rank, trail
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import number

WINDOW: Final = 200
"""Steps whose level the scale is set against."""

SETTLED: Final = 32
"""Steps the level must be known for; the search in the first steps has none."""

SKIPPED: Final = 32
"""Steps in a row that say that a floor was reached: the search takes fewer from 2^32 on."""


@rule(
    code="PRE001",
    causes=("loss-scale-collapse", "fp16-overflow", "lr-too-high"),
    repeat_after=1000,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class LossScaleCollapse:
    """Options of the rule."""

    min_scale: float = 1.0
    """Scale below which it makes gradients smaller than they are."""
    max_fall: float = 50.0
    """Factor below its recent level to which it may fall."""

    def __post_init__(self) -> None:
        if not (self.min_scale >= 0 and self.max_fall > 1):
            msg = f"min_scale must be at least 0 and max_fall above 1, got {self.min_scale} and"
            raise ValueError(f"{msg} {self.max_fall}. Try 1 and 50.")

    @property
    def lookback(self) -> int:
        return WINDOW

    def check(self, history: History, /) -> Iterator[Finding]:
        scales = trail(history, "loss_scale")
        rows = scales.rows
        if not len(rows):
            return
        now = scales.values[rows]
        past = scales.before(rows, WINDOW, reach=WINDOW)
        values, counts = ordered(past)
        # The lower quartile: a search that has just ended left higher ones behind it.
        level = np.where(counts >= SETTLED, rank(values, counts, 0.25), np.nan)
        fell = now * self.max_fall < level
        for row in np.flatnonzero((now < self.min_scale) | fell):
            step = int(scales.steps[rows[row]])
            yield self._finding(step, now[row], level[row], "fell")
        still = (past[:, -SKIPPED // 2 :] == now[:, None]).all(axis=-1)
        for row in np.flatnonzero((now >= self.min_scale) & ~fell & still):
            step = int(scales.steps[rows[row]])
            skips = history.between("step_skipped", step - SKIPPED + 1, step + 1)[:, 0]
            if (skips > 0).all():
                yield self._finding(step, now[row], level[row], "stands")

    def _finding(self, step: int, scale: float, level: float, kind: str) -> Finding:
        if kind == "stands":
            what = f"stands at {number(scale)} while the last {SKIPPED} steps were all skipped"
        elif np.isfinite(level) and level > scale:
            what = f"has fallen to {number(scale)} from a recent level of {number(level)}"
        else:
            what = f"is {number(scale)}, below {number(self.min_scale)}"
        return state(
            self,
            step=step,
            severity=Severity.CRITICAL if scale < self.min_scale else Severity.WARNING,
            message=f"The loss scale {what}: gradients overflow float16 at any scale. Compute the largest "
            "outputs in float32, lower the learning rate, or use bfloat16.",
            evidence={"kind": kind, "loss_scale": scale, "level": level},
        )
