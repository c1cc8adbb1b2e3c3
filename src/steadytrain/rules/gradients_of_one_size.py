"""Every gradient has been cut to the same size before the optimizer sees it.

## What it sees
The largest element is the same in nearly all gradients, look after look: they are clipped by value,
all of them. Or the total norm is the same at every step and belongs to the scaled loss: the clip
came before the unscaling.

## Why it matters
The threshold, not the gradient, says how far and where to step; scaled gradients that are clipped as
if they were not leave next to nothing.

## Fires on
    grad_max@a.weight 1e-6x3
    grad_max@b.weight 1e-6x3
    grad_max@c.weight 1e-6x3
    grad_max@d.weight 1e-6x3

    grad_norm_total 0.000244140625x24
    loss_scale 4096x24

## Stays silent on
    grad_max@a.weight 1e-6x3
    grad_max@b.weight 1e-6x3
    grad_max@c.weight 2e-6x3
    grad_max@d.weight 5e-7x3

    grad_norm_total 0.5x24
    loss_scale 4096x24

## What to do
Clip by the norm, at about its usual size; call `scaler.unscale_(optimizer)` before the clip.

## Source
Equality of floating-point numbers to a thousandth, where nothing but a clip makes them equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.columns import Floats
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import median
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import Mask, number
from steadytrain.rules._looks import REACH, lasting

SAME: Final = 1e-3
STEPS: Final = 20


@rule(code="GRD004", causes=("clip-too-tight", "unscale-order"), repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class GradientsOfOneSize:
    """Options of the rule."""

    min_share: float = 0.8
    """Share of the gradients that must have the same largest element."""

    def __post_init__(self) -> None:
        if not 0 < self.min_share <= 1:
            msg = f"min_share must be above 0 and at most 1, got {self.min_share}: it is a share."
            raise ValueError(f"{msg} Try 0.8.")

    @property
    def lookback(self) -> int:
        return REACH

    def check(self, history: History, /) -> Iterator[Finding]:
        for look in lasting(history, "grad_max", 3, _is_usual):
            count = int(look.measured.sum())
            if count >= 4 and look.hit.sum() >= self.min_share * count:
                level = float(np.median(look.values[look.hit]))
                share = float(look.hit.sum() / count)
                yield self._finding(look.step, level, "value", share)
        yield from self._before_unscaling(history)

    def _before_unscaling(self, history: History) -> Iterator[Finding]:
        if "loss_scale" not in history:
            return
        start = history.fresh - STEPS + 1
        norms, scales = (
            history.between(stat, start, history.step + 1)[:, 0]
            for stat in ("grad_norm_total", "loss_scale")
        )
        for row in range(STEPS - 1, len(norms)):
            scaled = (norms * scales)[row - STEPS + 1 : row + 1]
            low, high = scaled.min(), scaled.max()
            if high - low <= SAME * high and norms[row] < 0.01 and scales[row] > 100:
                yield self._finding(history.fresh + row - STEPS + 1, float(high), "norm", 1.0)

    def _finding(self, step: int, level: float, kind: str, share: float) -> Finding:
        if kind == "value":
            text = f"The largest element is {number(level)} in {share:.0%} of all gradients: they are clipped by "
            text += "value, and the threshold sets every step. Clip by the norm, at about its usual size."
        else:
            text = f"The norm of the scaled gradients has been {number(level)} on {STEPS} steps in a row: they are "
            text += (
                "clipped before they are unscaled. Call scaler.unscale_(optimizer) before the clip."
            )
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            message=text,
            causes=("clip-too-tight",) if kind == "value" else ("unscale-order", "clip-too-tight"),
            evidence={"kind": kind, "level": level, "share": share},
        )


def _is_usual(rows: Floats) -> Mask:
    """Which gradients have the row's most usual largest element."""
    level = median(np.where(rows > 0, rows, np.nan))[:, None]
    return np.asarray(np.abs(rows - level) <= SAME * level)
