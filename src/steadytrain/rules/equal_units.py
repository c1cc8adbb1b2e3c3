"""The units of a layer are copies of each other and stay so.

## What it sees
Most rows of a weight matrix equal the row before them to the bit, at a look some dozens of steps
into the run. Matrices that begin at zero on purpose have equal rows at first and open with the
first steps.

## Why it matters
Units with equal weights get equal gradients: the layer is as good as one unit of it, for ever.

## Fires on
    equal_rows_fraction@a.weight 0.81 -x29 0.81

## Stays silent on
    equal_rows_fraction@a.weight 0.79 -x29 0.79

    equal_rows_fraction@a.weight 1.0 -x29 0.0

## What to do
Draw the weights at random (`torch.nn.init.kaiming_normal_`, or the layer's own default).

## Source
No threshold but equality; a fifth is left for padding rows and rows that are not used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import extent, named
from steadytrain.rules._looks import REACH, Look, lasting


@rule(code="INI004", causes=("symmetric-init", "dying-relu"), repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class EqualUnits:
    """Options of the rule."""

    max_fraction: float = 0.8
    """Share of a matrix's rows that may equal the row before them."""
    min_steps: int = 30
    """Steps in which rows that began equal must have parted."""

    def __post_init__(self) -> None:
        if not 0 < self.max_fraction < 1:
            msg = f"max_fraction must be between 0 and 1, got {self.max_fraction}: it is a share."
            raise ValueError(f"{msg} Try 0.8.")
        if not self.min_steps >= 1:
            msg = f"min_steps must be at least 1, got {self.min_steps}: zeros open with a step."
            raise ValueError(f"{msg} Try 30.")

    @property
    def lookback(self) -> int:
        return REACH

    def check(self, history: History, /) -> Iterator[Finding]:
        stat = "equal_rows_fraction"
        for look in lasting(history, stat, 2, lambda rows: rows > self.max_fraction):
            if look.step - history.first_step >= self.min_steps:
                yield self._finding(history, look)

    def _finding(self, history: History, look: Look) -> Finding:
        names = history.sites("equal_rows_fraction")
        return state(
            self,
            step=look.step,
            severity=Severity.WARNING,
            site=names[look.first],
            message=f"After {look.step} steps {look.values[look.first]:.0%} of the rows of {names[look.first]} equal "
            f"the row before them to the bit ({extent(look.hit, look.measured, 'matrices')} above "
            f"{self.max_fraction:.0%}): such units learn the same. Draw the weights at random.",
            evidence={
                "fraction": look.values[look.first],
                "parameters": named(names, look.hit),
            },
        )
