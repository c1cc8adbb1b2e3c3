"""A parameter holds NaN or infinite values after the step.

## What it sees
After the update, some elements of a parameter are not finite.

## Why it matters
Nothing that is trained from here on can recover: the optimizer's moments hold the same values.

## Fires on
    param_num_nonfinite@a.weight 0x5 1
    param_num_nonfinite@b.weight 0x6

## Stays silent on
    param_num_nonfinite@a.weight 0x6
    param_norm@a.weight 1.0x5 1e30

## What to do
Go back to a checkpoint before this step. If gradients were non-finite on the step, the fault is
there: guard the update by a finite check. If they were finite, the update itself overflowed:
lower the learning rate.

## Source
No threshold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._blame import REACH, blame
from steadytrain.rules._extent import extent, named


@rule(code="OPT001", causes=("lr-too-high", "missing-grad-clip", "fp16-overflow"))
@dataclass(frozen=True, slots=True, kw_only=True)
class NonfiniteParameter:
    """No options."""

    @property
    def lookback(self) -> int:
        return REACH + 1

    def check(self, history: History, /) -> Iterator[Finding]:
        if "param_num_nonfinite" not in history:
            return
        counts = history.between("param_num_nonfinite", history.fresh, history.step + 1)
        for row in np.flatnonzero((counts > 0).any(axis=1)):
            yield self._finding(history, history.fresh + int(row), counts[row] > 0)

    def _finding(self, history: History, step: int, hit: np.ndarray) -> Finding:
        names = history.sites("param_num_nonfinite")
        measured = np.isfinite(history.between("param_num_nonfinite", step, step + 1)[0])
        bad_gradients = (history.between("grad_num_nonfinite", step, step + 1)[0] > 0).sum()
        reason = (
            f"{bad_gradients} gradients were non-finite on the step and were applied"
            if bad_gradients
            else "the step's gradients were finite, so the update or an earlier write overflowed"
        )
        shown = named(names, hit)
        source = blame(history, step)
        if source.origin == "outside":
            reason = "its own update was small, so something other than the optimizer wrote it"
        return state(
            self,
            step=step,
            severity=Severity.CRITICAL,
            site=shown[0],
            message=f"{extent(hit, measured, 'parameters')} hold NaN or infinite values, {shown[0]} first; "
            f"{reason}. Restore a checkpoint from before this step.",
            causes=source.causes,
            evidence={
                "parameters": shown,
                "num_parameters": hit.sum(),
                "num_measured": measured.sum(),
                "num_nonfinite_gradients": bad_gradients,
                "origin": source.origin,
                "origin_step": source.step,
            },
        )
