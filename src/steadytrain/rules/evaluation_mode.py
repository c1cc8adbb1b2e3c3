"""The whole model is in evaluation mode while it is trained.

## What it sees
On a sampled step not one module was in training mode. Some modules in evaluation mode are common:
a frozen backbone, or normalisations whose statistics are kept on purpose.

## Why it matters
Dropout does nothing and batch normalisation uses statistics that no batch updates any more: the
loss may even look better, and what was meant to generalise does not.

## Fires on
    training_mode 1.0 0.0

    training_mode 0.0

## Stays silent on
    training_mode 1.0x20

    training_mode 1.0 0.01x20

## What to do
Call `model.train()` before the training steps, after every evaluation and after sampling from
the model. Hugging Face's `from_pretrained` returns a model in evaluation mode.

## Source
torch.nn.Module.train and eval; no threshold is needed, the share is exactly zero.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import trail
from steadytrain.core.rule import rule, state


@rule(code="LOP002", causes=("eval-mode-in-training",), repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationMode:
    """The rule has no options: a share of zero leaves nothing to choose."""

    @property
    def lookback(self) -> int:
        return 0

    def check(self, history: History, /) -> Iterator[Finding]:
        shares = trail(history, "training_mode")
        began = history.head("training_mode", 1)[1]
        for row in shares.rows[shares.values[shares.rows] == 0]:
            yield self._finding(int(shares.steps[row]), float(began[0, 0]))

    def _finding(self, step: int, began: float) -> Finding:
        since = (
            f"; at the start {began:.0%} of its modules were in training mode"
            if np.isfinite(began) and began > 0
            else ", as it was at the start"
        )
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            message=f"At step {step} the whole model was in evaluation mode{since}. Dropout does nothing and "
            "batch normalisation keeps old statistics: call model.train() before the training steps.",
            evidence={"training_mode": 0.0, "training_mode_at_start": began},
        )
