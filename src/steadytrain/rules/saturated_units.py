"""Bounded activations sit at the ends of their range.

## What it sees
The share of a sigmoid's or tanh's outputs that lie in the outer hundredth of its range stays above
three quarters, at several looks in a row, before the last layer: an output that grows sure of
itself is what a classifier is for.

## Why it matters
At the ends the slope is nearly zero: no gradient passes, and the layers before learn nothing.

## Fires on
    saturated_fraction@a 0.76x3
    act_rms@a 1x3
    act_rms@b 1x3

## Stays silent on
    saturated_fraction@a 0.74x3
    act_rms@a 1x3
    act_rms@b 1x3

## What to do
Initialise for the activation (Xavier, gain 5/3 for tanh), standardise the inputs, lower the rate;
ReLU-like activations do not saturate.

## Source
Glorot and Bengio 2010, figure 3. Element-wise over a whole layer and for three looks: control runs
with bounded units stay below a half.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import extent, named
from steadytrain.rules._looks import REACH, Look, lasting


@rule(
    code="ACT005",
    causes=("saturated-activation", "init-too-large", "data-not-normalized", "lr-too-high"),
    repeat_after=1000,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class SaturatedUnits:
    """Options of the rule."""

    max_fraction: float = 0.75
    """Share of a layer's outputs that may lie at the ends."""

    def __post_init__(self) -> None:
        if not 0 < self.max_fraction < 1:
            msg = f"max_fraction must be between 0 and 1, got {self.max_fraction}: it is a share."
            raise ValueError(f"{msg} Try 0.75.")

    @property
    def lookback(self) -> int:
        return REACH

    def check(self, history: History, /) -> Iterator[Finding]:
        stat = "saturated_fraction"
        for look in lasting(history, stat, 3, lambda rows: rows > self.max_fraction):
            inner = look.hit & _is_inside(history, look.step)
            if inner.any():
                yield self._finding(history, Look(step=look.step, values=look.values, hit=inner))

    def _finding(self, history: History, look: Look) -> Finding:
        names = history.sites("saturated_fraction")
        return state(
            self,
            step=look.step,
            severity=Severity.WARNING,
            site=names[look.first],
            message=f"{look.values[look.first]:.0%} of the outputs of {names[look.first]} lie in the outer hundredth "
            f"of their range ({extent(look.hit, look.measured, 'bounded activations')} above "
            f"{self.max_fraction:.0%}): no gradient passes. Initialise for the activation, standardise "
            "the inputs, or lower the rate.",
            evidence={"fraction": look.values[look.first], "modules": named(names, look.hit)},
        )


def _is_inside(history: History, step: int) -> np.ndarray:
    """The modules after which another one ran."""
    ran = np.isfinite(history.between("act_rms", step, step + 1)[0])
    inside = np.ones(len(ran), dtype=np.bool_)
    inside[np.flatnonzero(ran)[-1:]] = False
    return inside
