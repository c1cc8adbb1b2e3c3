"""A normalised network without shortcuts is so deep that its gradients grow from layer to layer.

## What it sees
At the first look, the gradient per element of twelve weight matrices or more grows a hundredfold from
the output to the input, at every layer by about the same factor: a stack in which each layer replaces
what it was given. With shortcuts, and in plain stacks of a dozen layers, it does not.

## Why it matters
Normalisation keeps the signal's size and not the gradient's: at a factor of 1.2 per layer thirty layers
multiply it by hundreds, the early ones jump about, and a deeper network trains worse than a shallow one.

## Fires on
    grad_rms@l01.weight 109
    grad_rms@l02.weight 71
    grad_rms@l03.weight 47
    grad_rms@l04.weight 31
    grad_rms@l05.weight 20
    grad_rms@l06.weight 13
    grad_rms@l07.weight 8.6
    grad_rms@l08.weight 5.6
    grad_rms@l09.weight 3.6
    grad_rms@l10.weight 2.4
    grad_rms@l11.weight 1.55
    grad_rms@l12.weight 1

## Stays silent on
    grad_rms@l01.weight 90
    grad_rms@l02.weight 60
    grad_rms@l03.weight 40
    grad_rms@l04.weight 26
    grad_rms@l05.weight 17
    grad_rms@l06.weight 11.5
    grad_rms@l07.weight 7.7
    grad_rms@l08.weight 5.1
    grad_rms@l09.weight 3.4
    grad_rms@l10.weight 2.3
    grad_rms@l11.weight 1.5
    grad_rms@l12.weight 1

## What to do
Let every two or three layers add to their input instead of replacing it.

## Source
Yang et al. 2019 (A Mean Field Theory of Batch Normalization): gradients of ReLU networks with batch
norm grow by 1.21 per layer. He et al. 2016: 56 plain layers train worse than 20.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import comparable, profile
from steadytrain.rules._extent import number

MIN_LAYERS: Final = 12

MIN_ORDER: Final = 0.9
"""Rank correlation with depth: the gradient grows at nearly every layer."""

STEEPEST: Final = 0.3
"""Share of the growth that a single layer may carry."""


@rule(
    code="INI007",
    causes=("missing-residual", "exploding-gradient", "missing-norm"),
    repeat_after=10_000,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class ShortcutsMissing:
    """Options of the rule."""

    max_growth: float = 100.0
    """Factor by which the gradient may grow from the output to the input."""

    def __post_init__(self) -> None:
        if not self.max_growth > 1:
            msg = f"max_growth must be above 1, got {self.max_growth}: it is a factor."
            raise ValueError(f"{msg} Try 100.")

    @property
    def lookback(self) -> int:
        return 0

    def check(self, history: History, /) -> Iterator[Finding]:
        steps = history.head("grad_rms", 1)[0]
        if not len(steps) or not history.fresh <= steps[0] <= history.step:
            return
        step = int(steps[0])
        row = history.between("grad_rms", step, step + 1)[0]
        chosen = comparable(history, "grad_rms", step, row)[::-1]
        if len(chosen) < MIN_LAYERS:
            return
        seen = profile(row[chosen], self.max_growth)
        steady = seen is not None and seen.order >= MIN_ORDER and seen.steepest <= STEEPEST
        if seen is not None and steady and seen.factor > self.max_growth:
            names = history.sites("grad_rms")
            ends = names[int(chosen[0])], names[int(chosen[-1])]
            yield self._finding(step, seen.factor, len(chosen), ends)

    def _finding(self, step: int, factor: float, count: int, ends: tuple[str, str]) -> Finding:
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            site=ends[1],
            message=f"Gradients grow {number(factor)}-fold over {count} matrices from {ends[0]} to {ends[1]}, by "
            f"{number(factor ** (1 / (count - 1)))} at each; {number(self.max_growth)} in all is a lot. Add shortcuts "
            "around every two or three layers.",
            evidence={"growth": factor, "layers": count, "from": ends[0], "to": ends[1]},
        )
