"""The gradient, or the signal itself, fades from layer to layer.

## What it sees
The gradient per element of the weight matrices falls by a constant factor from layer to layer
towards the input, or the size of the activations does towards the output, and has for two looks
ten steps apart; activations that fade so on the first step need no second look. One small layer, a uniformly small gradient and a cut at one place are
something else, and no absolute size is read.

## Why it matters
The early layers stay as they were initialised, so the late ones learn from random features.

## Fires on
    grad_rms@l1.weight 0.8e-4x41
    grad_rms@l2.weight 0.8e-3x41
    grad_rms@l3.weight 0.9e-2x41
    grad_rms@l4.weight 0.95e-1x41
    grad_rms@l5.weight 1.0x41

    act_rms@l1 1
    act_rms@l2 0.95e-1
    act_rms@l3 0.9e-2
    act_rms@l4 0.8e-3
    act_rms@l5 0.8e-4

## Stays silent on
    act_rms@l1 1
    act_rms@l2 1.2e-1
    act_rms@l3 1.4e-2
    act_rms@l4 1.6e-3
    act_rms@l5 2.1e-4

    grad_rms@l1.weight 2.1e-4x41
    grad_rms@l2.weight 1.6e-3x41
    grad_rms@l3.weight 1.4e-2x41
    grad_rms@l4.weight 1.2e-1x41
    grad_rms@l5.weight 1.0x41

    grad_rms@embedding.weight 1e-9x41
    grad_rms@l1.weight 1.0x41
    grad_rms@l2.weight 1.0x41
    grad_rms@l3.weight 1.0x41
    grad_rms@l4.weight 1.0x41

    grad_rms@l1.weight 1e-12x41
    grad_rms@l2.weight 1e-12x41
    grad_rms@l3.weight 1e-12x41
    grad_rms@l4.weight 1e-12x41
    grad_rms@l5.weight 1e-12x41

## What to do
Use an activation whose slope is 1 somewhere (ReLU, GELU) with the initialisation made for it, add
residual connections and normalisation, or make the network shallower.

## Source
Glorot and Bengio 2010; the factor per layer of a sigmoid is at most 0.25 times the weight's gain.
Four decades end to end, in order, is more than healthy networks of any kind tried show:
benchmarks/results/rule_faults.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.columns import Floats
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import Rows, median
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import Profile, comparable, profile, tenth_rows
from steadytrain.rules._extent import number

_NORMED = ("post-norm-depth", "vanishing-gradient", "missing-residual")


@rule(
    code="GRD002",
    causes=(
        "vanishing-gradient",
        "saturated-activation",
        "init-too-small",
        "missing-residual",
        "missing-norm",
    ),
)
@dataclass(frozen=True, slots=True, kw_only=True)
class VanishingGradient:
    """Options of the rule."""

    min_depth_ratio: float = 1e-4
    """Least share of a layer's gradient (or activation) left at the other end of the network."""
    min_order: float = 0.7
    """Least rank correlation between depth and size: 1 falls at every layer."""
    min_steps: int = 20
    """Steps before the first look: projections that begin at zero need some to open."""

    def __post_init__(self) -> None:
        if not (0 < self.min_depth_ratio < 1 and 0 < self.min_order <= 1):
            msg = f"min_depth_ratio and min_order must be in 0..1, got {self.min_depth_ratio} and"
            raise ValueError(f"{msg} {self.min_order}. Try 1e-4 and 0.7.")
        if not self.min_steps >= 0:
            msg = f"min_steps must be 0 or more, got {self.min_steps}: it counts from the run's start."
            raise ValueError(f"{msg} Try 20.")

    @property
    def lookback(self) -> int:
        return 32

    def check(self, history: History, /) -> Iterator[Finding]:
        for stat in ("grad_rms", "act_rms"):
            for step, row in tenth_rows(history, stat):
                is_first = step == history.first_step and stat == "act_rms"
                if step - history.first_step >= self.min_steps or is_first:
                    yield from self._look(history, stat, step, row)

    def _look(self, history: History, stat: str, step: int, row: Floats) -> Iterator[Finding]:
        chosen = self._way(history, stat, step, row)
        now = self._fading(row[chosen])
        if now is None:
            return
        names = history.sites(stat)
        ends = names[int(chosen[0])], names[int(chosen[-1])]
        if step == history.first_step:  # a signal that fades as the run begins needs no second look
            yield self._finding(history, stat, step, now, ends, row[chosen])
            return
        before = history.between(stat, step - 20, step - 5)
        usual = median(before.T) if stat == "act_rms" else median(before[-5:].T)
        if self._fading(usual[self._way(history, stat, step, usual)]):
            yield self._finding(history, stat, step, now, ends, row[chosen])

    def _way(self, history: History, stat: str, step: int, row: Floats) -> Rows:
        """The sites along the way of the signal: gradients to the input, else to the output."""
        chosen = comparable(history, stat, step, row)
        return chosen[::-1] if stat == "grad_rms" else chosen

    def _fading(self, values: Floats) -> Profile | None:
        """The profile down to the lowest value, where it falls far enough and layer by layer.

        What comes after the lowest is fed by biases and says nothing about the signal.
        """
        values = values[np.isfinite(values) & (values > 0)]
        lowest = int(np.argmin(values)) if len(values) else 0
        seen = profile(values[: lowest + 1], self.min_depth_ratio)
        if seen is None or not seen.factor < self.min_depth_ratio:
            return None
        return seen if seen.is_geometric(self.min_order) else None

    def _finding(
        self,
        history: History,
        stat: str,
        step: int,
        seen: Profile,
        ends: tuple[str, str],
        values: Floats,
    ) -> Finding:
        what, unit = ("gradient", "matrices") if stat == "grad_rms" else ("activation", "modules")
        positive = values[values > 0]
        low = float(positive.min())
        faded = int((values < positive[0] * self.min_depth_ratio**0.5).sum())
        return state(
            self,
            step=step,
            severity=Severity.CRITICAL if seen.factor < 1e-8 else Severity.WARNING,
            site=ends[1],
            message=f"The {what} per element falls from {number(positive[0])} at {ends[0]} to "
            f"{number(low)} towards {ends[1]}, layer by layer ({number(seen.factor)} in all; "
            f"{number(self.min_depth_ratio)} is the least that trains well): {faded} of {len(values)} {unit} "
            "hardly learn. Use another activation or initialisation, or add residual connections.",
            causes=("init-too-small", "vanishing-gradient", "missing-norm")
            if stat == "act_rms"
            else _NORMED
            if _has_norms(history, step)
            else (),
            evidence={
                "statistic": stat,
                "factor": seen.factor,
                "order": seen.order,
                "from": ends[0],
                "to": ends[1],
                "num_faded": faded,
                "num_measured": len(values),
            },
        )


def _has_norms(history: History, step: int) -> bool:
    """Whether outputs are brought to unit size all along: then it is not the signal that fades."""
    sizes = history.between("act_rms", step - 20, step + 1)
    measured = np.isfinite(sizes).any(axis=0)
    unit = measured & ~(np.abs(sizes - 1) > 0.1).any(axis=0)
    return bool(unit.sum() >= 4 and unit.sum() > 0.15 * measured.sum())
