"""Dropout leaves hardly anything of the signal.

## What it sees
The probability with which a dropout layer in training mode drops, from the layer itself.

## Why it matters
What is left of a layer at 0.9 is a tenth, scaled up tenfold: the gradient is mostly noise. A share
that was meant to be kept looks exactly like this.

## Fires on
    dropped_fraction@a 0.76

## Stays silent on
    dropped_fraction@a 0.74

## What to do
0.1 to 0.5 is usual. Older libraries took the share to keep; PyTorch takes the share to drop.

## Source
Srivastava et al. 2014: 0.5 for hidden units, less where units are few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import extent, named
from steadytrain.rules._looks import REACH, Look, lasting


@rule(code="INI003", causes=("dropout-too-high",), repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class DropoutRate:
    """Options of the rule."""

    max_rate: float = 0.75
    """Probability of dropping that is still usual."""

    def __post_init__(self) -> None:
        if not 0 < self.max_rate < 1:
            msg = f"max_rate must be between 0 and 1, got {self.max_rate}: it is a probability."
            raise ValueError(f"{msg} Try 0.75.")

    @property
    def lookback(self) -> int:
        return REACH

    def check(self, history: History, /) -> Iterator[Finding]:
        for look in lasting(history, "dropped_fraction", 1, lambda rows: rows > self.max_rate):
            yield self._finding(history, look)

    def _finding(self, history: History, look: Look) -> Finding:
        names = history.sites("dropped_fraction")
        return state(
            self,
            step=look.step,
            severity=Severity.WARNING,
            site=names[look.first],
            message=f"The dropout at {names[look.first]} drops {look.values[look.first]:.0%} "
            f"({extent(look.hit, look.measured, 'dropouts')} above {self.max_rate:.0%}, 10 to 50% is usual). "
            "If that is the share to keep, pass one minus it.",
            evidence={"rate": look.values[look.first], "modules": named(names, look.hit)},
        )
