"""The running statistics of batch normalisation are not those of the data.

## What it sees
In training mode, the running mean and deviation are far from those of the batch, in the median
channel, at several looks after the first fifty steps. Running statistics begin at zero and one and
catch up within some dozens of steps; those that do not are frozen, or of other data.

## Why it matters
Training uses the batch and looks well; evaluation uses the running statistics and computes another
function.

## Fires on
    running_gap@a 0.61x61

## Stays silent on
    running_gap@a 0.59x61

    running_gap@a 0.61x40 0.3x21

## What to do
Look for a momentum of zero, a frozen or wrongly loaded layer, and forward passes on other data in
training mode; recompute the statistics on training data before evaluating.

## Source
Ioffe and Szegedy 2015; a momentum of 0.1 forgets half in 7 steps. With it, control
runs are below 0.35 from step 50 on; norms over fewer than 32 values are left out as too noisy.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import extent, named, number
from steadytrain.rules._looks import REACH, Look, lasting


@rule(
    code="INI002",
    causes=("batchnorm-running-stats", "train-mode-in-eval"),
    repeat_after=1000,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStatisticsApart:
    """Options of the rule."""

    max_gap: float = 0.6
    """Distance of the running from the batch's statistics, in deviations."""
    min_steps: int = 50
    """Steps that running statistics have to catch up."""

    def __post_init__(self) -> None:
        if not self.max_gap > 0:
            raise ValueError(
                f"max_gap must be above 0, got {self.max_gap}: in deviations. Try 0.6."
            )
        if not self.min_steps >= 0:
            msg = f"min_steps must be 0 or more, got {self.min_steps}: it counts from the start."
            raise ValueError(f"{msg} Try 50.")

    @property
    def lookback(self) -> int:
        return REACH

    def check(self, history: History, /) -> Iterator[Finding]:
        for look in lasting(history, "running_gap", 3, lambda rows: rows > self.max_gap):
            samples = history.between("norm_samples", look.step, look.step + 1)[0]
            hit = look.hit & ~(samples < 32)
            if look.step - history.first_step >= self.min_steps and hit.any():
                yield self._finding(history, Look(step=look.step, values=look.values, hit=hit))

    def _finding(self, history: History, look: Look) -> Finding:
        names = history.sites("running_gap")
        gap = look.values[look.first]
        return state(
            self,
            step=look.step,
            severity=Severity.WARNING,
            site=names[look.first],
            message=f"After {look.step} steps the running statistics at {names[look.first]} are {number(gap)} "
            f"deviations from those of the batch ({extent(look.hit, look.measured, 'batch norms')} above "
            f"{number(self.max_gap)}): evaluation computes another function. Look for a momentum of zero, "
            "frozen layers, and other data in training mode.",
            evidence={"gap": gap, "modules": named(names, look.hit)},
        )
