"""Momentum remembers hundreds of steps.

## What it sees
The momentum of a parameter group, or Adam's first beta, as the optimizer was told.

## Why it matters
With 0.999 a step follows the gradients of the last thousand: it goes on long after they have turned,
overshoots, and comes back as a slow oscillation. A first and a second beta in the wrong order look
like this.

## Fires on
    momentum@0 0.993

## Stays silent on
    momentum@0 0.991

## What to do
0.9 is usual, 0.95 to 0.99 with a rate that much lower. Adam's betas are (0.9, 0.999), in this order.

## Source
Sutskever et al. 2013 go up to 0.99 by a schedule; 0.992 leaves room for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import extent, named, number
from steadytrain.rules._looks import REACH, Look, lasting


@rule(code="OPT009", causes=("momentum-too-high", "lr-too-high"), repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class MomentumNearOne:
    """Options of the rule."""

    max_momentum: float = 0.992
    """Share of the last direction that a step may keep."""

    def __post_init__(self) -> None:
        if not 0 < self.max_momentum < 1:
            msg = f"max_momentum must be between 0 and 1, got {self.max_momentum}: it is a share."
            raise ValueError(f"{msg} Try 0.992.")

    @property
    def lookback(self) -> int:
        return REACH

    def check(self, history: History, /) -> Iterator[Finding]:
        for look in lasting(history, "momentum", 1, lambda rows: rows > self.max_momentum):
            yield self._finding(history, look)

    def _finding(self, history: History, look: Look) -> Finding:
        names = history.sites("momentum")
        value = float(look.values[look.worst])
        memory = 1 / max(1 - value, 1e-9)
        return state(
            self,
            step=look.step,
            severity=Severity.WARNING,
            message=f"The momentum of {extent(look.hit, look.measured, 'parameter groups')} is {value:.6g}: a step "
            f"follows the last {number(memory)} gradients, and 10 are usual. Use 0.9; Adam's betas are "
            "(0.9, 0.999), in this order.",
            evidence={"momentum": value, "groups": named(names, look.hit)},
        )
