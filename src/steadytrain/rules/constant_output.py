"""The network has learned to answer the same for every sample.

## What it sees
The output of the last module varied over the samples at the start and hardly does any more, what that
module reads still varies, and the loss is above half of its beginning: three looks in a row, from step
60 on. Where several optimizers play against each other, an output that says nothing may be right.

## Why it matters
The mean of the targets is the best answer where inputs tell nothing about them: labels that stand
beside other inputs, shapes that are broadcast so that every prediction meets every target, or a term
that punishes any answer at all.

## Fires on
    act_std@a 1x91
    act_std@b 1x91
    act_std@c 1.0x51 0.14x40
    loss 1x91

## Stays silent on
    act_std@a 1x91
    act_std@b 1x91
    act_std@c 1.0x51 0.16x40
    loss 1x91

    act_std@a 1x91
    act_std@b 1x91
    act_std@c 1.0x51 0.14x40
    loss 1x30 0.4x61

    act_std@a 1x91
    act_std@b 1.0x51 0.14x40
    act_std@c 1.0x51 0.14x40
    loss 1x91

## What to do
Print the shapes of predictions and targets, look at ten inputs beside their labels, and overfit one
batch. Weigh the terms of the loss.

## Source
What is explained of the targets' variance is at most that of the outputs: at 0.15 of its first size,
2% of targets of unit size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.columns import Floats
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import comparable
from steadytrain.rules._extent import number

LOOKS: Final = 3

REACH: Final = 64
"""Steps within which the looks must lie."""

MIN_LOSS: Final = 0.5
"""Share of the first loss above which nothing can have been learned with a constant."""

STILL_READS: Final = 0.3
"""Share of its first spread that the module's input must have kept."""


@rule(
    code="LOS004",
    causes=("shape-broadcast", "label-misaligned", "loss-term-scale", "label-noise"),
    repeat_after=1000,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantOutput:
    """Options of the rule."""

    min_share: float = 0.15
    """Share of its first spread that the output must keep."""
    min_steps: int = 60
    """Steps before the first look."""

    def __post_init__(self) -> None:
        if not 0 < self.min_share < 1:
            msg = f"min_share must be between 0 and 1, got {self.min_share}: it is a share."
            raise ValueError(f"{msg} Try 0.15.")
        if not self.min_steps >= 0:
            msg = f"min_steps must be 0 or more, got {self.min_steps}: it counts from the start."
            raise ValueError(f"{msg} Try 60.")

    @property
    def lookback(self) -> int:
        return REACH

    def check(self, history: History, /) -> Iterator[Finding]:
        steps, rows = history.measured("act_std")
        if not len(steps) or not steps[-1] >= history.fresh or _plays(history):
            return
        first = history.head("act_std", 1)[1][0]
        begun = np.full(rows.shape[1], np.nan)
        begun[: len(first)] = first
        for at in np.flatnonzero(steps >= history.fresh):
            step, looks = int(steps[at]), rows[max(0, at - LOOKS + 1) : at + 1]
            old = step - history.first_step >= self.min_steps
            if old and len(looks) == LOOKS and steps[at] - steps[at - LOOKS + 1] <= REACH:
                yield from self._look(history, step, looks, begun)

    def _look(self, history: History, step: int, looks: Floats, begun: Floats) -> Iterator[Finding]:
        chosen = comparable(history, "act_std", step, looks[-1])
        if len(chosen) < LOOKS or not begun[chosen[-1]] > 0:
            return
        last, reads = int(chosen[-1]), int(chosen[-2])
        ends = history.head("saturated_fraction", LOOKS)[1]
        if np.isfinite(ends[:, last : last + 1]).any():  # its ends are told of elsewhere
            return
        left = looks[:, last] / begun[last]
        fed = looks[:, reads] > STILL_READS * begun[reads]
        if (left < self.min_share).all() and fed.all() and _is_high(history, step):
            yield self._finding(history, step, last, float(left[-1]))

    def _finding(self, history: History, step: int, last: int, left: float) -> Finding:
        name = history.sites("act_std")[last]
        level = history.between("loss", step - 15, step + 1)
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            site=name,
            message=f"The output of {name} varies by {left:.1%} of what it did at the start (below "
            f"{self.min_share:.0%}), though what it reads varies, and the loss is still "
            f"{number(float(np.nanmedian(level)))}: the network answers the same for every sample. Compare the "
            "shapes of predictions and targets, and inputs with their labels.",
            evidence={"share": left, "loss": float(np.nanmedian(level))},
        )


def _plays(history: History) -> bool:
    """Whether several optimizers are at work: their sites are numbered."""
    return any("." in name for name in history.sites("learning_rate"))


def _is_high(history: History, step: int) -> bool:
    first, now = history.head("loss", 8)[1], history.between("loss", step - 15, step + 1)
    now = now[np.isfinite(now)]
    if not (len(first) and len(now)):
        return False
    begun = float(np.median(first))
    return begun > 0 and bool(np.median(now) > MIN_LOSS * begun)
