"""The loss rises within the first steps and stays far above the first one.

## What it sees
All losses of steps 10 to 30 are more than twice the first. There is no past yet against which a rise
could be measured, so only the beginning tells; a loss that climbs and comes back, as at a high but
stable rate, has lower ones among them.

## Why it matters
What the initialisation was good for is gone: the run goes on from weights that a few steps too long
have thrown far out.

## Fires on
    loss 2.0x3 4.1x28

## Stays silent on
    loss 2.0x3 3.9x28

    loss 2.0x3 8.0x20 3.9x8

    loss -2.0x3 4.1x28

## What to do
Lower the learning rate by ten and warm up; look at the parameter group that moved most. Where the
loss is in the thousands, scale rewards or targets first.

## Source
A first loss is that of guessing: above twice of it an answer is worse than none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import trail
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import weight_sites
from steadytrain.rules._extent import number

ROWS: Final = 31
"""First losses of a run; those of the first ten steps may rise."""

LARGE: Final = 1000.0
"""First loss of another scale than outputs of unit size give."""

FAR: Final = 5.0
"""Factor over the median from which one parameter moved far more than the others."""

_RATE: Final = ("lr-too-high", "missing-warmup", "init-too-large", "momentum-too-high")
_UNSCALED: Final = ("reward-scale", "target-not-normalized", "loss-reduction", "lr-too-high")


@rule(code="DYN006", causes=_RATE, repeat_after=10_000)
@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyDivergence:
    """Options of the rule."""

    max_ratio: float = 2.0
    """Multiple of the first loss above which the losses of steps 10 to 30 may not all stay."""

    def __post_init__(self) -> None:
        if not self.max_ratio > 1:
            msg = f"max_ratio must be above 1, got {self.max_ratio}: it is a multiple of the first"
            raise ValueError(f"{msg} loss. Try 2.")

    @property
    def lookback(self) -> int:
        return 0

    def check(self, history: History, /) -> Iterator[Finding]:
        losses = trail(history, "loss")
        steps, head = history.head("loss", ROWS)
        if len(steps) < ROWS or not (losses.steps[losses.rows] == steps[-1]).any():
            return
        first, later = float(head[0, 0]), head[10:, 0]
        if first > 0 and later.min() > self.max_ratio * first:
            yield self._finding(history, int(steps[-1]), first, float(np.median(later)))

    def _finding(self, history: History, step: int, first: float, level: float) -> Finding:
        return state(
            self,
            step=step,
            severity=Severity.CRITICAL,
            site=_fastest(history),
            message=f"The loss began at {number(first)}, rose to {number(level)} within ten steps and stays above "
            f"{number(self.max_ratio)} times the first: the run ran away at once. Lower the learning rate tenfold "
            "and warm up.",
            causes=_UNSCALED if first > LARGE else _RATE,
            evidence={"first": first, "level": level},
        )


def _fastest(history: History) -> str | None:
    """The matrix that the first step changed by far more of its size than the others, or None."""
    rows = history.head("update_ratio", 1)[1]
    names = history.sites("update_ratio")
    if not len(rows):
        return None
    ratios = np.where(weight_sites(names)[0], rows[0], np.nan)
    known = ratios[np.isfinite(ratios)]
    if len(known) < 3 or not known.max() > FAR * np.median(known):
        return None
    return names[int(np.nanargmax(ratios))]
