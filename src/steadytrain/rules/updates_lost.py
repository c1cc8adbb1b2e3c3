"""Most updates of low-precision weights are rounded away.

## What it sees
Of the elements of float16 or bfloat16 weights that have a gradient, the share that a step left as
they were to the bit, in the median matrix and over several looks.

## Why it matters
bfloat16 has 8 bits: a step below 0.2 to 0.4% of a weight changes nothing, whatever its direction,
and the run stands still at a rate that float32 learns well with.

## Fires on
    lost_update_fraction@a.weight 0.81x4
    lost_update_fraction@b.weight 0.81x4

## Stays silent on
    lost_update_fraction@a.weight 0.79x4
    lost_update_fraction@b.weight 0.79x4

## What to do
Keep a float32 copy of the weights and compute under autocast, or round stochastically, or add with
compensation (Kahan).

## Source
Zamirai et al. 2020 (Revisiting BFloat16 Training).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import weight_sites
from steadytrain.rules._extent import extent, named
from steadytrain.rules._looks import REACH, Look, lasting


@rule(code="PRE002", causes=("low-precision-update-lost", "lr-too-low"), repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatesLost:
    """Options of the rule."""

    max_fraction: float = 0.8
    """Share of the elements whose update may be lost, in the median matrix."""

    def __post_init__(self) -> None:
        if not 0 < self.max_fraction < 1:
            msg = f"max_fraction must be between 0 and 1, got {self.max_fraction}: it is a share."
            raise ValueError(f"{msg} Try 0.8.")

    @property
    def lookback(self) -> int:
        return REACH

    def check(self, history: History, /) -> Iterator[Finding]:
        stat = "lost_update_fraction"
        weights = weight_sites(history.sites(stat))[0]
        for look in lasting(history, stat, 4, lambda rows: rows > self.max_fraction):
            if (look.hit & weights).sum() > 0.5 * (look.measured & weights).sum():
                yield self._finding(history, look)

    def _finding(self, history: History, look: Look) -> Finding:
        names = history.sites("lost_update_fraction")
        share = float(np.median(look.values[look.hit]))
        return state(
            self,
            step=look.step,
            severity=Severity.WARNING,
            site=names[look.first],
            message=f"{share:.0%} of the updates of {extent(look.hit, look.measured, 'low-precision parameters')} "
            f"were rounded away, {names[look.first]} first ({self.max_fraction:.0%} is a lot). Keep the weights in "
            "float32 and compute under autocast, or round stochastically.",
            evidence={"fraction": share, "parameters": named(names, look.hit)},
        )
