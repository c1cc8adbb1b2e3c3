"""The same batch comes again and again.

## What it sees
At six looks in a row, over fifty steps or more, the data that the network reads had to the bit the same
mean and size. Where the loss has no noise from batch to batch either, it is one batch on every step;
where it has, the batches come in the same order each epoch.

It is only noted: small data sets are trained on as a whole, and on purpose.

## Why it matters
A loader that is built anew for every step, or an iterator that is never advanced, shows the network one
batch: the loss falls to nothing, and nothing else was learned.

## Fires on
    data_mean@a 0.125x6
    data_rms@a 1.5x6
    loss 2.0->1.0x6

## Stays silent on
    data_mean@a 0.125x5 0.1250001
    data_rms@a 1.5x6
    loss 2.0->1.0x6

    data_mean@a 0x6
    data_rms@a 0x6
    loss 2.0->1.0x6

## What to do
Iterate over the loader, `for batch in loader`, instead of `next(iter(loader))` in every step, and
shuffle it.

## Source
No threshold but equality: the means of two drawn batches differ.
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

SMOOTH: Final = 0.1
"""Share of the losses' rise and fall that noise may have where every batch is the same."""


@rule(code="DAT003", causes=("duplicate-batches", "data-not-shuffled"), repeat_after=10_000)
@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedBatch:
    """Options of the rule."""

    looks: int = 6
    """Looks in a row at which the data must have been the same."""

    def __post_init__(self) -> None:
        if not 3 <= self.looks <= 12:
            msg = f"looks must be 3 to 12, got {self.looks}: two batches may be alike by chance."
            raise ValueError(f"{msg} Try 6.")

    @property
    def lookback(self) -> int:
        return 40 * self.looks

    def check(self, history: History, /) -> Iterator[Finding]:
        steps, means = history.measured("data_mean")
        sizes = history.measured("data_rms")[1]
        if len(sizes) != len(means):
            return
        for row in np.flatnonzero(steps >= history.fresh):
            since = int(row) - self.looks + 1
            if since < 0:
                continue
            same = _same(means[since : row + 1]) & _same(sizes[since : row + 1])
            same &= sizes[row] > 0
            if same.any():
                yield self._finding(
                    history, int(steps[since]), int(steps[row]), int(np.argmax(same))
                )

    def _finding(self, history: History, since: int, step: int, site: int) -> Finding:
        name = history.sites("data_mean")[site]
        losses = history.between("loss", since, step + 1)[:, 0]
        one = _is_smooth(losses[np.isfinite(losses)])
        what = "the same batch on every step" if one else "batches in the same order each epoch"
        return state(
            self,
            step=step,
            severity=Severity.NOTE,
            site=name,
            message=f"The data that {name} reads had the same mean and size, to the bit, at {self.looks} looks in "
            f"{step - since + 1} steps: {what}. If that is not the whole data set, iterate over the loader "
            "and shuffle it.",
            causes=("duplicate-batches",) if one else ("data-not-shuffled", "duplicate-batches"),
            evidence={"steps": step - since + 1, "every_step": one},
        )


def _same(rows: Floats) -> np.ndarray:
    """Which columns hold one value throughout."""
    return np.asarray((rows == rows[-1]).all(axis=0))


def _is_smooth(losses: Floats) -> bool:
    """Whether the losses bend by little beside their rise and fall: no batch differs from the last."""
    bends, moves = np.diff(losses, n=2), np.diff(losses)
    return len(bends) > 0 and bool(np.median(np.abs(bends)) <= SMOOTH * np.median(np.abs(moves)))
