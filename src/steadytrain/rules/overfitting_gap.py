"""Validation gets worse while the training loss goes on falling.

## What it sees
The validation loss, or the metric, had its best value at least three validations ago and has been worse
at every one since, by a tenth of all it had gained or more, and by more than it varied before; the
training loss has fallen on meanwhile. One bad validation, and losses that rise together, are something
else.

## Why it matters
From its best value on the network learns its training data by heart: every further step makes it worse
on what it has not seen, and the best weights are behind.

## Fires on
    loss 1.0..0.1x60
    validation_loss 1 -x9 0.6 -x9 0.5 -x9 0.56 -x9 0.58 -x9 0.6

    loss 1.0..0.1x60
    validation_metric 0 -x9 0.6 -x9 0.8 -x9 0.7 -x9 0.7 -x9 0.7

## Stays silent on
    loss 1.0..0.1x60
    validation_loss 1 -x9 0.6 -x9 0.5 -x9 0.56 -x9 0.54 -x9 0.6

    loss 1.0..0.1x60
    validation_loss 1 -x9 0.8 -x9 0.6 -x9 0.5 -x9 0.58 -x9 0.6

    loss 1.0x60
    validation_loss 1 -x9 0.6 -x9 0.5 -x9 0.56 -x9 0.58 -x9 0.6

## What to do
Keep the weights of the best validation. More data, augmentation, weight decay, dropout or a smaller
network move that point; fewer steps end there.

## Source
Prechelt 1998 (Early Stopping - But When?), criterion UP with three strips.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.columns import Floats, Steps
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import median, spread, trail
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import number

REACH: Final = 512
"""Steps back within which validations are compared."""

FELL: Final = 0.9
"""Share of the training loss at the best validation below which it has fallen on."""

AROUND: Final = 8
"""Losses whose median is the training loss at a step."""


@rule(
    code="DYN005",
    causes=("overfitting", "label-noise", "split-statistics"),
    repeat_after=1000,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class OverfittingGap:
    """Options of the rule."""

    min_worse: int = 3
    """Validations in a row that must be worse than the best."""
    min_share: float = 0.1
    """Share of what validation had gained that must be lost at each of them."""

    def __post_init__(self) -> None:
        if not (self.min_worse >= 2 and 0 < self.min_share < 1):
            msg = f"min_worse must be at least 2 and min_share in 0..1, got {self.min_worse} and"
            raise ValueError(f"{msg} {self.min_share}. Try 3 and 0.1.")

    @property
    def lookback(self) -> int:
        return REACH

    def check(self, history: History, /) -> Iterator[Finding]:
        for stat, sign in (("validation_loss", 1.0), ("validation_metric", -1.0)):
            seen = trail(history, stat)
            for row in seen.rows:
                since = int(np.searchsorted(seen.steps, seen.steps[row] - REACH))
                steps, values = seen.steps[since : row + 1], sign * seen.values[since : row + 1]
                best = self._best(values)
                if best is not None and _fell(history, steps, best):
                    yield self._finding(stat, steps, sign * values, best)

    def _best(self, values: Floats) -> int | None:
        """Where the lowest value is, if all after it are clearly higher; None otherwise."""
        if len(values) <= self.min_worse:
            return None
        best = int(np.argmin(values))
        later = values[best + 1 :] - values[best]
        # Where the first was the best already, its own size says what is much.
        gained = float(values[:best].max() - values[best]) if best else abs(float(values[0]))
        if len(later) < self.min_worse or not gained > 0:
            return None
        changes = np.diff(values[: best + 1])
        varied = float(spread(changes, median(changes))) if len(changes) >= AROUND else 0.0
        return best if later.min() >= max(self.min_share * gained, 2 * varied) else None

    def _finding(self, stat: str, steps: Steps, values: Floats, best: int) -> Finding:
        what = "loss" if stat == "validation_loss" else "metric"
        return state(
            self,
            step=int(steps[-1]),
            severity=Severity.WARNING,
            message=f"The validation {what} was best at step {steps[best]} ({number(values[best])}) and has been worse at "
            f"all {len(steps) - best - 1} validations since ({number(values[-1])} now), while the training loss has "
            "fallen on: the network memorises. Keep the weights of the best validation; more data, "
            "augmentation or decay move that point.",
            evidence={"best": values[best], "best_step": int(steps[best]), "now": values[-1]},
        )


def _fell(history: History, steps: Steps, best: int) -> bool:
    """Whether the training loss is well below what it was at the best validation."""
    then, now = (_level(history, int(step)) for step in (steps[best], steps[-1]))
    return now < FELL * then if then > 0 else now < then


def _level(history: History, step: int) -> float:
    losses = history.between("loss", step - AROUND + 1, step + 1)
    losses = losses[np.isfinite(losses)]
    return float(np.median(losses)) if len(losses) else float("nan")
