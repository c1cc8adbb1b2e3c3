"""One of several optimizers is never stepped, though gradients reach its parameters.

## What it sees
Of the optimizers that are watched one has not stepped once, others have, and backward passes have
reached its parameters a hundred times: a critic that is trained alone for a while lets none through.

## Why it matters
The part it should train keeps its random weights, and what is trained against it learns to please
them; the loss of the other part may look well.

## Fires on
    learning_rate@optimizer0.group0 0.001x61
    in_optimizer@a.weight 1
    in_optimizer@b.weight 1
    update_norm@a.weight 0.1x61
    waiting_backwards 2..122x61

## Stays silent on
    learning_rate@optimizer0.group0 0.001x61
    in_optimizer@a.weight 1
    in_optimizer@b.weight 1
    update_norm@a.weight 0.1x61
    waiting_backwards 2..99x61

    learning_rate@optimizer0.group0 0.001x61
    learning_rate@optimizer1.group0 0.001
    in_optimizer@a.weight 1
    in_optimizer@b.weight 1
    update_norm@a.weight 0.1x61
    update_norm@b.weight 0.1
    waiting_backwards 2..122x61

## What to do
Step every optimizer after its own backward; leave the frozen part out of an optimizer and set
`requires_grad_(False)`.

## Source
No threshold but the count: in the usual loops an optimizer waits for at most some dozens of passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import extent, named, number


@rule(
    code="LOP007",
    causes=("missing-optimizer-step", "params-not-in-optimizer"),
    repeat_after=10_000,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class IdleOptimizer:
    """Options of the rule."""

    max_waiting: int = 100
    """Backward passes that may reach an optimizer before its first step."""

    def __post_init__(self) -> None:
        if not self.max_waiting >= 10:
            msg = (
                f"max_waiting must be at least 10, got {self.max_waiting}: accumulation takes some."
            )
            raise ValueError(f"{msg} Try 100.")

    @property
    def lookback(self) -> int:
        return 0

    def check(self, history: History, /) -> Iterator[Finding]:
        steps, waiting = history.measured("waiting_backwards")
        for row in np.flatnonzero((waiting[:, 0] > self.max_waiting) & (steps >= history.fresh)):
            step = int(steps[row])
            held, moved = (
                _known(history, "in_optimizer", step),
                _known(history, "update_norm", step),
            )
            idle = np.equal(held, 1) & np.isnan(moved)
            if idle.any() and _one_alone(history, step):
                yield self._finding(history, step, idle, np.equal(held, 1), waiting[row, 0])

    def _finding(
        self, history: History, step: int, idle: np.ndarray, held: np.ndarray, count: float
    ) -> Finding:
        shown = named(history.sites("in_optimizer"), idle)
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            site=shown[0],
            message=f"{extent(idle, held, 'parameters')} are held by an optimizer that has not stepped once, "
            f"{shown[0]} first, though {number(count)} backward passes reached them. Step every "
            "optimizer after its own backward.",
            evidence={"parameters": shown, "num_backwards": count},
        )


def _known(history: History, stat: str, step: int) -> np.ndarray:
    """The first value of every site in the run's first rows, NaN where there was none."""
    steps, rows = history.head(stat, 64)
    known = np.full(len(history.sites(stat)), np.nan)
    for row in rows[steps <= step]:
        known = np.where(np.isfinite(known), known, row)
    return known


def _one_alone(history: History, step: int) -> bool:
    """Whether several optimizers are watched and the rates of one alone were ever told."""
    steps, rows = history.head("learning_rate", 64)
    told = history.sites("learning_rate")
    seen = np.flatnonzero(np.isfinite(rows[steps <= step]).any(axis=0))
    owners = {told[int(at)].partition(".")[0] for at in seen if "." in told[int(at)]}
    return len(owners) == 1
