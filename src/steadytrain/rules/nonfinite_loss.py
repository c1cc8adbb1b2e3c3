"""The loss is NaN or infinite.

## What it sees
Losses handed to `watch.log` (or computed by `st.train`) on this step were not finite.

## Why it matters
The backward pass of such a loss writes NaN into every gradient, and the next update into every
weight. Logs that average the value away hide it.

## Fires on
    loss 2.3x5
    loss_num_nonfinite 0x5 1

## Stays silent on
    loss 2.3x6
    loss_num_nonfinite 0x6

    loss 1e300 -1e300 0.0

## What to do
Look at the other findings of the step: they say whether the batch, a module or the parameters
went non-finite first. Stop: weights written after this step are lost. Go back to the last
checkpoint before it.

## Source
No threshold. A count, because a comparison with NaN is false and finds nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._blame import REACH, blame
from steadytrain.rules._extent import number

_WHERE: Final = {
    "batch": "The batch itself held such values: clean the data (step {step})",
    "parameters": "Parameters were non-finite before it (step {step})",
    "outside": "A parameter was changed by something other than the optimizer (step {step})",
    "module": "A module made them from finite inputs, see the finding on activations (step {step})",
    "before": "A module was given such values already (step {step})",
    "loss": "The model's output was finite: the loss itself made them, look for log, exp and division (step {step})",
    "backward": "It began in a backward pass from a finite loss (step {step})",
    "update": "An update overflowed (step {step})",
    "nothing": "Nothing else was measured as non-finite",
}


@rule(
    code="DYN001",
    causes=("lr-too-high", "exp-overflow", "log-of-zero", "div-by-zero", "nonfinite-input"),
)
@dataclass(frozen=True, slots=True, kw_only=True)
class NonfiniteLoss:
    """No options."""

    @property
    def lookback(self) -> int:
        return REACH + 1

    def check(self, history: History, /) -> Iterator[Finding]:
        steps, counts = history.measured("loss_num_nonfinite")
        for row in np.flatnonzero((counts[:, 0] > 0) & (steps >= history.fresh)):
            yield self._finding(history, int(steps[row]), float(counts[row, 0]))

    def _finding(self, history: History, step: int, count: float) -> Finding:
        losses = history.between("loss", step - REACH, step)[:, 0]
        finite = losses[np.isfinite(losses)]
        last = (
            f"the last finite one was {number(finite[-1])}"
            if len(finite)
            else "none before it was finite"
        )
        source = blame(history, step)
        where = _WHERE[source.origin]
        where = where.format(step=source.step) if source.step < step else where.partition(" (")[0]
        return state(
            self,
            step=step,
            severity=Severity.CRITICAL,
            message=f"{number(count)} loss value{'s' if count > 1 else ''} of this step NaN or infinite; {last}. "
            f"{where}. Stop here and go back to a checkpoint before this step.",
            causes=source.causes,
            evidence={
                "origin": source.origin,
                "origin_step": source.step,
                "num_nonfinite": count,
                "last_finite_loss": finite[-1] if len(finite) else "none",
            },
        )
