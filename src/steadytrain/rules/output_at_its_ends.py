"""The last activation has run against the ends of its range while the loss is still high.

## What it sees
The last module that runs is bounded (sigmoid, tanh) and much of its output lies at its ends, or it is
a rectifier that gives mostly zeros, or a softmax that is nearly certain; and the loss has not fallen
to where such certainty would be right.

## Why it matters
The targets lie where the output cannot go, or the loss applies the activation once more: from here
on there is hardly a gradient, and no rate helps.

## Fires on
    act_rms@a 1x61
    act_rms@b 0.9x61
    act_mean@b 0x61
    saturated_fraction@b 0.31x61
    loss 1x61

## Stays silent on
    act_rms@a 1x61
    act_rms@b 0.9x61
    act_mean@b 0x61
    saturated_fraction@b 0.29x61
    loss 1x61

    act_rms@a 1x61
    act_rms@b 0.9x61
    act_mean@b 0x61
    saturated_fraction@b 0.9x61
    loss 1x10 0.1x51

## What to do
End in a linear layer: cross entropy and the losses "with logits" take raw outputs, and a regression
needs the range of its targets.

## Source
A softmax before a cross entropy over C classes leaves it at ln(C - 1 + e) - 1 or above, a sigmoid
before the binary one at 0.31.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import tenth_rows
from steadytrain.rules._extent import number

_ENDS: Final = ("output-activation-mismatch", "infeasible-target", "double-softmax")
_CHANCES: Final = ("double-softmax", "output-activation-mismatch", "loss-input-mismatch")


@rule(code="LOS003", causes=_ENDS, repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class OutputAtItsEnds:
    """Options of the rule."""

    max_fraction: float = 0.3
    """Share of a bounded output that may lie at its ends while the loss is high."""
    min_fall: float = 0.5
    """Share of the first loss below which the output may be sure of itself."""
    min_steps: int = 60
    """Steps before the first look."""

    def __post_init__(self) -> None:
        if not (0 < self.max_fraction < 1 and 0 < self.min_fall < 1):
            msg = f"max_fraction and min_fall must be between 0 and 1, got {self.max_fraction} and"
            raise ValueError(f"{msg} {self.min_fall}. Try 0.3 and 0.5.")
        if not self.min_steps >= 0:
            raise ValueError(f"min_steps must be 0 or more, got {self.min_steps}. Try 60.")

    @property
    def lookback(self) -> int:
        return 64

    def check(self, history: History, /) -> Iterator[Finding]:
        for step, sizes in tenth_rows(history, "act_rms"):
            ran = np.flatnonzero(np.isfinite(sizes))
            if step - history.first_step < self.min_steps or not len(ran):
                continue
            level, beginning = _level(history, step)
            if not level > self.min_fall * beginning:
                continue
            seen = self._end(history, step, int(ran[-1]), level, beginning)
            if seen is not None:
                yield self._finding(history, step, int(ran[-1]), seen, (level, beginning))

    def _end(
        self, history: History, step: int, last: int, level: float, beginning: float
    ) -> tuple[str, float, tuple[str, ...]] | None:
        """What the last output does, as a share, and the causes; None where nothing is wrong."""
        looks = history.between("saturated_fraction", step - 30, step + 1)[:, last]
        looks = looks[np.isfinite(looks)]
        means = history.between("act_mean", step - 30, step + 1)[:, last]
        means = means[np.isfinite(means)]
        if len(looks):
            if not (looks > self.max_fraction).all():
                return None
            inside = 0.25 < level < 0.75 and 0.5 < beginning < 0.9 and means.min() > 0
            return "lies at the ends of its range", float(looks[-1]), _CHANCES if inside else _ENDS
        if len(means) >= 2 and means.min() > 0 and np.ptp(means) <= 1e-4 * means.max():
            return _certain(history, step, last, float(means[-1]), level)
        dead = history.between("dead_fraction", step - 64, step + 1)[:, last]
        zeros = history.between("act_zero_fraction", step, step + 1)[0, last]
        if np.isfinite(dead).any() and zeros > self.max_fraction:
            return "is zero", float(zeros), _ENDS
        return None

    def _finding(
        self,
        history: History,
        step: int,
        last: int,
        seen: tuple[str, float, tuple[str, ...]],
        losses: tuple[float, float],
    ) -> Finding:
        what, share, causes = seen
        name = history.sites("act_rms")[last]
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            site=name,
            message=f"{share:.0%} of the output of {name} {what} after {step} steps, and the loss is "
            f"{number(losses[0])} where it began at {number(losses[1])}. End in a linear layer: the loss takes raw "
            "outputs, and a regression needs the range of its targets.",
            causes=causes,
            evidence={"share": share, "loss": losses[0], "beginning": losses[1]},
        )


def _certain(
    history: History, step: int, last: int, mean: float, level: float
) -> tuple[str, float, tuple[str, ...]] | None:
    """A softmax has a mean of one over the number of classes, whatever its input."""
    count = round(1 / mean)
    size = float(history.between("act_rms", step, step + 1)[0, last])
    if count < 2 or abs(1 / mean - count) > 0.01 or not size <= 1:
        return None
    certainty = (size * size * count - 1 / count) / (1 - 1 / count)
    floor = np.log(count - 1 + np.e) - 1
    if certainty > 0.3 and level > 0.98 * floor:
        return "is certain", float(certainty), _CHANCES
    return None


def _level(history: History, step: int) -> tuple[float, float]:
    """The loss now and at the start, each as the median of some steps."""
    now = history.between("loss", step - 15, step + 1)[:, 0]
    first = history.head("loss", 8)[1][:, 0]
    now, first = now[np.isfinite(now)], first[np.isfinite(first)]
    if not (len(now) and len(first)):
        return float("nan"), float("nan")
    return float(np.median(now)), float(np.median(first))
