"""Units of a module give zero on every input.

## What it sees
The share of a module's units that were exactly zero on all inputs of a whole probe window. The
share of zeros is something else: half of a healthy ReLU layer's values are zero.

## Why it matters
A unit that is zero on every input has no gradient and never comes back; a layer of such units
cuts off everything before it.

## Fires on
    dead_fraction@act1 0.0 0.51

    dead_fraction@act1 0.0
    dead_fraction@act2 1.0

## Stays silent on
    dead_fraction@act1 0.0 0.49

    act_zero_fraction@act1 0.9x50

## What to do
Lower the learning rate (a single large step is what kills units), initialise biases at zero and
weights for ReLU, or use an activation with a slope below zero (LeakyReLU, GELU).

## Source
Unit-wise over inputs, as in TheDeepChecker (Braiek and Khomh 2022), not element-wise. Half the
units is the share at which false alarms end on benchmarks/results/rule_faults.md.
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
from steadytrain.rules._extent import extent, named

_OUTPUT: Final = ("output-activation-mismatch", "dying-relu", "lr-too-high")

MOST: Final = 0.8
"""Share of dead units up to which it is only noted where the loss has fallen to a tenth: what is left
does the work."""


@rule(
    code="ACT001",
    causes=("dying-relu", "lr-too-high", "init-too-large", "data-not-normalized"),
    repeat_after=1000,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class DeadUnits:
    """Options of the rule."""

    max_fraction: float = 0.5
    """Share of a module's units that may be dead."""

    def __post_init__(self) -> None:
        if not 0 < self.max_fraction <= 1:
            msg = f"max_fraction must be above 0 and at most 1, got {self.max_fraction}: it is a share"
            raise ValueError(f"{msg} of a module's units. Try 0.5.")

    @property
    def lookback(self) -> int:
        return 16

    def check(self, history: History, /) -> Iterator[Finding]:
        for stat, what in (
            ("dead_fraction", "its units"),
            ("input_dead_fraction", "the units it reads"),
        ):
            steps, shares = history.measured(stat)
            hit = (shares > self.max_fraction) | (shares == 1)
            for row in np.flatnonzero(hit.any(axis=1) & (steps >= history.fresh)):
                step = int(steps[row])
                solved = _is_solved(history, step)
                last = _last_module(history, step) if stat == "dead_fraction" else -1
                yield self._finding(
                    history.sites(stat), step, shares[row], hit[row], what, last, solved
                )

    def _finding(
        self,
        names: tuple[str, ...],
        step: int,
        shares: Floats,
        hit: np.ndarray,
        what: str,
        last: int,
        solved: bool,
    ) -> Finding:
        measured = np.isfinite(shares)
        whole = np.flatnonzero(shares == 1)
        worst = int(whole[0]) if len(whole) else int(np.nanargmax(shares))
        spared = solved and not shares[worst] > MOST
        grave = Severity.NOTE if spared else Severity.WARNING
        return state(
            self,
            step=step,
            severity=Severity.CRITICAL if len(whole) else grave,
            site=names[worst],
            message=f"{shares[worst]:.0%} of {what} were zero on every input at {names[worst]} "
            f"({extent(hit, measured, 'modules')} above {self.max_fraction:.0%}): they get no gradient "
            "any more. Lower the learning rate, or use an activation with a slope below zero.",
            causes=_OUTPUT if worst == last else (),
            evidence={
                "dead_fraction": shares[worst],
                "modules": named(names, hit),
                "num_modules": hit.sum(),
                "num_measured": measured.sum(),
            },
        )


def _is_solved(history: History, step: int) -> bool:
    first, now = history.head("loss", 8)[1], history.between("loss", step - 15, step + 1)
    now = now[np.isfinite(now)]
    return bool(len(first) and len(now) and 0 <= np.median(now) < 0.1 * np.median(first))


def _last_module(history: History, step: int) -> int:
    """The module that ran last when it was looked at, -1 where none was."""
    known, rows = history.head("act_rms", 1)
    if not len(known) or known[0] > step:
        return -1
    ran = np.flatnonzero(np.isfinite(rows[0]))
    return int(ran[-1]) if len(ran) else -1
