"""Backward ran, and when the optimizer stepped its gradients were gone.

## What it sees
Gradients arrived for the step, but at the optimizer's step every one was absent or zero, three
steps in a row. Or: of several backward passes for one step, each found the gradients of the ones
before it cleared.

A gradient that was there in the first steps and has become exactly zero everywhere is said apart,
unless the loss is zero too: nothing is left to learn.

## Why it matters
The optimizer moves by nothing, or by the last microbatch only; no error is raised.

## Fires on
    num_microbatches 1x5
    grad_norm_total 0x5

    cleared_fraction 1.0x5
    num_microbatches 4x5

    num_microbatches 1x9
    grad_norm_total 1.0x6 0x3

## Stays silent on
    num_microbatches 1x5
    grad_norm_total 0x2 1.0x3

    num_microbatches 1x9
    grad_norm_total 1.0x6 0x3
    loss 1.0x6 0x3

    cleared_fraction 0.0x5
    num_microbatches 4x5

    cleared_fraction 1.0x2 0x3
    num_microbatches 4x5

## What to do
Call `zero_grad` after the optimizer's step (or before the first backward of a step), never between
a backward and its step.

## Source
No threshold: without the fault it does not happen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import number

FIRST_STEPS: Final = 2
"""What the order of the loop's calls does, it does from here on."""

NOTHING: Final = 1e-6
"""Share of the first loss that is left where a task is solved to the last bit."""

_NOTHING: Final = ("step-order", "detached-graph")
_ZEROS: Final = ("step-order", "fp16-underflow")
_ROUNDED: Final = ("fp16-underflow", "step-order")

TINY: Final = 1e-3
"""First loss below which gradients in half precision, which ends at 6e-8, are zero."""

TWICE: Final = 2
"""Backward passes of a step of which the first may be a probe: sharpness-aware steps climb first."""

ZERO: Final = (
    "dying-relu",
    "output-activation-mismatch",
    "saturated-activation",
    "lr-too-high",
    "fp16-underflow",
)
"""What leaves a gradient of exactly zero where there was one."""


@rule(code="LOP004", causes=("step-order", "detached-graph"))
@dataclass(frozen=True, slots=True, kw_only=True)
class GradientsNotThere:
    """Options of the rule."""

    min_steps: int = 3
    """Steps in a row."""

    def __post_init__(self) -> None:
        if not 1 <= self.min_steps <= 50:
            msg = f"min_steps must be 1 to 50, got {self.min_steps}: the fault shows on every step."
            raise ValueError(f"{msg} Try 3.")

    @property
    def lookback(self) -> int:
        return self.min_steps + 1

    def check(self, history: History, /) -> Iterator[Finding]:
        start, stop = history.fresh - self.min_steps + 1, history.step + 1
        if stop <= history.fresh:
            return
        arrived, total, cleared, skipped = (
            history.between(stat, start, stop)[:, 0]
            for stat in ("num_microbatches", "grad_norm_total", "cleared_fraction", "step_skipped")
        )
        moved = history.between("update_norm", start, stop)
        stepped = np.isfinite(moved).any(axis=1) | (total == 0)
        bad = history.between("grad_num_nonfinite", start, stop)
        broken = (history.between("param_num_nonfinite", start - 1, stop - 1) > 0).any(axis=1)
        gone = (
            (arrived > 0)
            & ~(total > 0)
            & stepped
            & ~(skipped > 0)
            & ~(bad > 0).any(axis=1)
            & ~broken
        )
        several = any("." in name for name in history.sites("learning_rate"))
        alone = (cleared > 0.9) & (arrived > 1) & (not several)
        for kind, held in (("gone", gone), ("cleared", alone)):
            runs = np.convolve(held, np.ones(self.min_steps), mode="valid") == self.min_steps
            for row in np.flatnonzero(runs):
                yield from self._finding(history, history.fresh + int(row), kind)

    def _finding(self, history: History, step: int, kind: str) -> Iterator[Finding]:
        count = history.between("num_microbatches", step, step + 1)[0, 0]
        if kind == "gone":
            what = "gradients arrived for the step, and at the optimizer's step all were absent or zero"
            zeros = history.between("grad_norm_total", step, step + 1)[0, 0] == 0
            causes = _NOTHING if not zeros else _ROUNDED if _is_tiny(history) else _ZEROS
            if zeros and (history.head("grad_norm_total", FIRST_STEPS)[1] > 0).any():
                if not self._is_solved(history, step):
                    yield self._vanished(step, count)
                return
        else:
            what = f"each of the step's {number(count)} backward passes found the earlier ones' cleared"
            causes = ("step-order", "accum-not-divided")
        least = Severity.WARNING if count > TWICE else Severity.NOTE
        yield state(
            self,
            step=step,
            severity=Severity.CRITICAL if kind == "gone" else least,
            message=f"On {self.min_steps} steps in a row {what}. Call zero_grad after the optimizer's step, "
            "never between a backward pass and the step it belongs to.",
            causes=causes,
            evidence={"kind": kind, "num_microbatches": count},
        )

    def _is_solved(self, history: History, step: int) -> bool:
        """Whether the loss is nothing beside the first one: then no gradient is as it should be."""
        first = history.head("loss", 1)[1]
        now = history.between("loss", step - self.min_steps + 1, step + 1)
        least = NOTHING * np.abs(first).max(initial=0.0)
        return bool((np.abs(now) <= least).any())

    def _vanished(self, step: int, count: float) -> Finding:
        """A loop that had gradients in its first steps clears them no earlier later on."""
        return state(
            self,
            step=step,
            severity=Severity.CRITICAL,
            message=f"On {self.min_steps} steps in a row every gradient was exactly zero, and at the start none was: "
            "nothing that the loss reads depends on a weight any more. Look at the output's activation "
            "and at the units before it, and lower the learning rate.",
            causes=ZERO,
            evidence={"kind": "vanished", "num_microbatches": count},
        )


def _is_tiny(history: History) -> bool:
    """Whether the loss is so small, or the weights so coarse, that gradients round to zero."""
    first = history.head("loss", 1)[1]
    return "lost_update_fraction" in history or (len(first) > 0 and bool(abs(first[0, 0]) < TINY))
