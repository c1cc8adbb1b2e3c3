"""The loss jumps far above what its own past makes plausible.

## What it sees
A loss stands above the median of the losses just before it by more than the batch-to-batch
noise explains. Upward only. The noise, its heavy tail and any trend are taken from the run's
own last few hundred values; a change of learning rate upwards starts a new past.

## Why it matters
One corrupt batch or one step too far is enough to undo hours of training, and what follows it
depends on how soon it is seen.

## Fires on
    loss 3.0x16 1.0x100 1.041

## Stays silent on
    loss 3.0x16 1.0x100 1.039

    loss 3.0x16 1.0x100 0.1

    loss 1.0x20 50.0

## What to do
Look at the batch of the step: corrupt data, a wrong label, an extreme length. When spikes come
again and again, clip the gradient norm, lower the learning rate or warm up longer, and for Adam
lower beta2. Go back to a checkpoint before the spike and pass over the batch.

## Source
Limits measured on synthetic curves with normal, Laplace, Student-t(3) and batch-of-2 noise:
benchmarks/results/rule_curves.md. Batch skipping after a spike: Chowdhery et al. 2022 (PaLM),
section 5.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import Upward, trail
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import number
from steadytrain.rules._regime import Floor, regimes


@rule(code="DYN002", causes=("bad-batch", "lr-too-high", "missing-grad-clip", "missing-warmup"))
@dataclass(frozen=True, slots=True, kw_only=True)
class LossSpike:
    """Options of the rule."""

    min_deviations: float = 8.0
    """Robust standard deviations that a jump must have at least."""
    min_rise: float = 0.02
    """Least jump, as a share of what the loss has gained since the run began."""
    window: int = 400
    """Steps that say what is plausible."""

    def __post_init__(self) -> None:
        if not self.min_deviations > 0:
            msg = f"min_deviations must be above 0, got {self.min_deviations}: it is how far a loss"
            raise ValueError(f"{msg} must stand above its noise. Try 8.")
        if not 0 <= self.min_rise < 1:
            msg = f"min_rise must be in 0..1, got {self.min_rise}: it is a share of the run's progress."
            raise ValueError(f"{msg} Try 0.02.")
        if not 64 <= self.window <= 440:
            msg = (
                f"window must be 64 to 440 steps, got {self.window}: fewer say little about tails."
            )
            raise ValueError(f"{msg} Try 400.")

    @property
    def _test(self) -> Upward:
        return Upward(window=self.window, deviations=self.min_deviations, tail=9.0)

    @property
    def lookback(self) -> int:
        return self._test.reach

    def check(self, history: History, /) -> Iterator[Finding]:
        losses = trail(history, "loss")
        higher = losses.before(losses.rows, 64, reach=64)
        highest = np.where(np.isfinite(higher), higher, -np.inf).max(axis=-1, initial=-np.inf)
        if not (losses.values[losses.rows] > highest).any():
            return
        seen = self._test.judge(losses, regimes(history, losses.steps))
        floor = Floor.of(history).least(seen.expected, self.min_rise)
        peak = losses.values[losses.rows] > highest
        for row in np.flatnonzero(peak & (seen.excess > seen.limit) & (seen.excess > floor)):
            yield self._finding(
                history, int(seen.steps[row]), seen.expected[row], seen.excess[row], seen.noise[row]
            )

    def _finding(
        self, history: History, step: int, expected: float, excess: float, noise: float
    ) -> Finding:
        gained = Floor.of(history).beginning - expected
        lost = not excess < abs(gained)
        deviations = (
            f"{excess / noise:.0f} standard deviations" if noise > 0 else "the past has no noise"
        )
        return state(
            self,
            step=step,
            severity=Severity.CRITICAL if lost else Severity.WARNING,
            message=f"The loss is {number(expected + excess)} where {number(expected)} was to be expected "
            f"({deviations}; {'all' if lost else format(excess / gained, '.0%')} of what the run had gained). "
            "Look at this step's batch; if it recurs, clip the gradient or lower the learning rate.",
            evidence={
                "loss": expected + excess,
                "expected": expected,
                "noise": noise,
                "gained": gained,
            },
        )
