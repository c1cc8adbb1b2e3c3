"""Some layers move a thousand times as fast as others.

## What it sees
The change per step over the size of every weight matrix, as the median of twenty steps. Some change
by more than a twentieth of themselves per step while the median matrix does not; or some hardly move
at all (though gradients reach them) while others train at a usual pace.

## Why it matters
A head that is rewritten at every step cannot be used by the body below it; a generator that stands
still beside a discriminator that learns will never catch up.

## Fires on
    update_ratio@a.weight 0.001x30
    update_ratio@b.weight 0.001x30
    update_ratio@c.weight 0.11x30

    update_ratio@a.weight 4e-6x30
    update_ratio@b.weight 4e-6x30
    update_ratio@c.weight 0.0041x30

## Stays silent on
    update_ratio@a.weight 0.001x30
    update_ratio@b.weight 0.001x30
    update_ratio@c.weight 0.04x30

    update_ratio@a.weight 5e-6x30
    update_ratio@b.weight 5e-6x30
    update_ratio@c.weight 0.004x30

## What to do
Compare the rates of the parameter groups and optimizers, and their units. Layer-wise rates differ by
factors of two, not of a hundred.

## Source
About 1e-3 is usual everywhere (Karpathy, CS231n notes); layer-wise decay of 0.65 over twelve layers
is a factor of 170.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.columns import Floats
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import median
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import matrices, tenth_rows, weight_sites
from steadytrain.rules._extent import Mask, extent, named, number

WINDOW: Final = 20

STILL: Final = 1e-5
"""Update over weight below which a matrix hardly moves."""

LEAP: Final = 5.0
"""Update over weight that no matrix has on its first step, zeros left out."""

_FAST: Final = ("lr-too-high", "missing-warmup", "init-too-small")
_SLOW: Final = ("lr-too-low", "gan-discriminator-dominates", "vanishing-gradient")
_TURNS: Final = ("gan-discriminator-dominates", "lr-too-low", "vanishing-gradient")


@rule(code="OPT011", causes=(*_FAST, *_SLOW), repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class LayersAtOdds:
    """Options of the rule."""

    max_ratio: float = 0.05
    """Update over weight that a matrix may keep where the median matrix moves a tenth as fast."""
    max_factor: float = 1000.0
    """Between the fastest matrix and the slow ones."""

    def __post_init__(self) -> None:
        if not (0 < self.max_ratio < 1 and self.max_factor > 1):
            msg = f"max_ratio must be in 0..1 and max_factor above 1, got {self.max_ratio} and"
            raise ValueError(f"{msg} {self.max_factor}. Try 0.05 and 1000.")

    @property
    def lookback(self) -> int:
        return WINDOW

    def check(self, history: History, /) -> Iterator[Finding]:
        for step, row in tenth_rows(history, "update_ratio"):
            if step == history.first_step:
                leap = (row > LEAP) & weight_sites(history.sites("update_ratio"))[0]
                others = row[np.isfinite(row) & ~leap]
                if leap.any() and len(others) and not leap.sum() > 0.5 * len(row):
                    middle = float(np.median(others))
                    yield self._finding(history, step, leap, row, middle, _FAST)
            if step - history.first_step < WINDOW:
                continue
            if not ((row > 0.25 * self.max_ratio) | (row < 4 * STILL)).any():
                continue
            usual = _usual(history, step, row)
            known = np.isfinite(usual) & (usual > 0)
            if known.sum() < 3:
                continue
            middle, fastest = float(np.median(usual[known])), float(usual[known].max())
            fast = known & (usual > self.max_ratio) & (usual > 20 * middle)
            fast &= ~(_decays(history, step) > 0.5 * usual)  # it is the decay that moves them
            slow = known & (usual < STILL) & (fastest > self.max_factor * usual) & (fastest > 1e-3)
            if fast.any():
                yield self._finding(history, step, fast, usual, middle, _FAST)
            elif slow.sum() >= 2:
                turns = any("." in name for name in history.sites("learning_rate"))
                causes = _TURNS if turns else _SLOW
                yield self._finding(history, step, slow, usual, fastest, causes)

    def _finding(
        self,
        history: History,
        step: int,
        hit: Mask,
        usual: Floats,
        other: float,
        causes: tuple[str, ...],
    ) -> Finding:
        names = history.sites("update_ratio")
        value = float(np.median(usual[hit]))
        return state(
            self,
            step=step,
            severity=Severity.WARNING,
            site=named(names, hit)[0],
            message=f"{extent(hit, np.isfinite(usual), 'matrices')} change by {number(value)} of their size per step, "
            f"{named(names, hit)[0]} first, where others change by {number(other)} (0.001 is usual). Compare "
            "the rates of the parameter groups and optimizers.",
            causes=causes,
            evidence={"update_ratio": value, "others": other, "parameters": named(names, hit)},
        )


def _usual(history: History, step: int, row: Floats) -> Floats:
    """The median ratio of every matrix over the window; NaN where it is none or not measured."""
    names = history.sites("update_ratio")
    norm, rms = (history.between(s, step, step + 1)[0] for s in ("grad_norm", "grad_rms"))
    if np.isfinite(rms).any():
        chosen = matrices(names, norm, rms)
    else:
        chosen = np.flatnonzero(weight_sites(names)[0])
    rows = history.between("update_ratio", step - WINDOW + 1, step + 1)[:, chosen]
    usual = np.full(len(row), np.nan)
    full = np.isfinite(rows).sum(axis=0) >= WINDOW // 2
    usual[chosen] = np.where(full, median(rows.T), np.nan)
    return usual


def _decays(history: History, step: int) -> Floats:
    """The share of every parameter that decay alone takes at a step."""
    steps, rows = history.head("decoupled_decay", 64)
    factors = np.zeros(len(history.sites("decoupled_decay")))
    for row in rows[steps <= step]:
        factors = np.where(np.isfinite(row), row, factors)
    rates = history.between("learning_rate", step, step + 1)[0]
    return factors * (float(np.nanmax(rates)) if np.isfinite(rates).any() else 0.0)
