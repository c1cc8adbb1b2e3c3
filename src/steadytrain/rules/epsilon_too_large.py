"""Adam's epsilon, not the gradient, sets the length of the steps.

## What it sees
Adam divides by the root of its second moment plus epsilon. From the start of the run on, epsilon is
larger than that root for most weight matrices: the steps are then those of plain gradient descent
at a tiny rate. A run that has converged has small gradients too, so later looks are only noted.

## Why it matters
The rate means something else than its number says: the steps are shorter than it by the ratio.

## Fires on
    eps_ratio@a.weight 12x3
    eps_ratio@b.weight 12x3

## Stays silent on
    eps_ratio@a.weight 0.9x3
    eps_ratio@b.weight 0.9x3

    eps_ratio@a.weight 12x3
    eps_ratio@b.weight 1e-5x3
    eps_ratio@c.weight 1e-5x3

## What to do
Set eps back to 1e-8, or below the size of the gradients; where the loss was scaled down, scale it
back up.

## Source
Kingma and Ba 2015: eps is there against division by zero, 1e-8. Above 1 it is the larger term.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import weight_sites
from steadytrain.rules._extent import extent, named, number
from steadytrain.rules._looks import REACH, Look, lasting

EARLY: Final = 100
"""Steps from the start within which no run has converged."""


_EPSILON: Final = ("adam-eps", "loss-reduction", "lr-too-low")
_GRADIENT: Final = ("saturated-activation", "vanishing-gradient", "adam-eps")


@rule(code="OPT007", causes=_EPSILON, repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class EpsilonTooLarge:
    """Options of the rule."""

    max_ratio: float = 1.0
    """Epsilon over the root of the second moment that the median matrix may have."""

    def __post_init__(self) -> None:
        if not self.max_ratio > 0:
            msg = (
                f"max_ratio must be above 0, got {self.max_ratio}: it is epsilon over the gradient."
            )
            raise ValueError(f"{msg} Try 1.")

    @property
    def lookback(self) -> int:
        return REACH

    def check(self, history: History, /) -> Iterator[Finding]:
        weights = weight_sites(history.sites("eps_ratio"))[0]
        for look in lasting(history, "eps_ratio", 3, lambda rows: rows > self.max_ratio):
            counted = look.measured & weights
            if counted.any() and (look.hit & weights).sum() > 0.5 * counted.sum():
                yield self._finding(history, look)

    def _finding(self, history: History, look: Look) -> Finding:
        names = history.sites("eps_ratio")
        ratio = float(np.median(look.values[look.hit]))
        moment = history.between("second_moment_rms", look.step, look.step + 1)[0]
        products = (look.values * moment)[look.hit]
        products = products[np.isfinite(products)]
        epsilon = float(np.median(products)) if len(products) else float("nan")
        losses = history.head("loss", 1)[1]
        tiny = len(losses) > 0 and bool(np.abs(losses[0, 0]) < 1e-3)
        early = look.step - history.first_step <= EARLY
        return state(
            self,
            step=look.step,
            severity=Severity.WARNING if early else Severity.NOTE,
            site=names[look.first],
            causes=_EPSILON if tiny or not epsilon < 1e-6 else _GRADIENT,
            message=f"Adam's epsilon is {number(ratio)} times the root of its second moment in "
            f"{extent(look.hit, look.measured, 'parameters')}; above {number(self.max_ratio)} it sets the "
            "steps, which are that much shorter than the rate says. Set eps to 1e-8 or below the "
            "gradients' size.",
            evidence={"eps_ratio": ratio, "parameters": named(names, look.hit)},
        )
