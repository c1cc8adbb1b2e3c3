"""The model is evaluated in training mode.

## What it sees
Now and then between two steps the model is called without gradients while a batch normalisation of
it is in training mode. Calls at every step belong to the training (a generator that makes samples
for its discriminator).

## Why it matters
The running statistics take on the validation data, dropout stays on, and the figure that is logged
is that of another network than the one that is shipped.

## Fires on
    blind_training_calls 0x9 4 0x9 4 0x9 4

## Stays silent on
    blind_training_calls 0x9 4 0x9 4 0x9

    blind_training_calls 4x60

## What to do
`model.eval()` before the validation and `model.train()` after it.

## Source
No threshold but the count of three; once may be a look at the data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import number


@rule(code="LOP006", causes=("train-mode-in-eval", "batchnorm-running-stats"), repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationInTrainingMode:
    """Options of the rule."""

    min_times: int = 3
    """Times within the last two hundred steps."""

    def __post_init__(self) -> None:
        if not self.min_times >= 1:
            msg = f"min_times must be at least 1, got {self.min_times}: it counts occasions."
            raise ValueError(f"{msg} Try 3.")

    @property
    def lookback(self) -> int:
        return 200

    def check(self, history: History, /) -> Iterator[Finding]:
        calls = history.between("blind_training_calls", history.start, history.step + 1)[:, 0]
        for row in np.flatnonzero(calls > 0):
            step = history.start + int(row)
            if step < history.fresh:
                continue
            seen = calls[max(0, row - self.lookback) : row + 1]
            times, known = int((seen > 0).sum()), int(np.isfinite(seen).sum())
            if times >= self.min_times and times <= 0.5 * known:
                yield self._finding(step, times, known, float(calls[row]))

    def _finding(self, step: int, times: int, known: int, calls: float) -> Finding:
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            message=f"{times} times in {known} steps the model was called without gradients in training mode "
            f"({number(calls)} calls here), which writes its running statistics. Call model.eval() before the "
            "validation and model.train() after it.",
            evidence={"times": times, "steps": known, "calls": calls},
        )
