"""Half-precision gradients are too small to be told from zero.

## What it sees
Within the first looks, most elements of most gradients are exactly zero, biases included, and the
others tiny, while the units of the network are alive and no loss scale is in use.

## Why it matters
float16 ends at 6e-8: what is smaller is lost, and the parts with small gradients are not trained.

## Fires on
    grad_zero_fraction@a.weight 0.51x2
    grad_zero_fraction@a.bias 0.51x2
    grad_zero_fraction@b.weight 0.51x2
    grad_zero_fraction@b.bias 0.51x2
    grad_max@a.weight 0.9e-3x2
    grad_max@a.bias 0.9e-3x2
    grad_max@b.weight 0.9e-3x2
    grad_max@b.bias 0.9e-3x2
    dead_fraction@act 0.1x2

## Stays silent on
    grad_zero_fraction@a.weight 0.49x2
    grad_zero_fraction@a.bias 0.49x2
    grad_zero_fraction@b.weight 0.49x2
    grad_zero_fraction@b.bias 0.49x2
    grad_max@a.weight 0.9e-3x2
    grad_max@a.bias 0.9e-3x2
    grad_max@b.weight 0.9e-3x2
    grad_max@b.bias 0.9e-3x2
    dead_fraction@act 0.1x2

    grad_zero_fraction@a.weight 0.9x2
    grad_zero_fraction@a.bias 0.9x2
    grad_zero_fraction@b.weight 0.9x2
    grad_zero_fraction@b.bias 0.9x2
    grad_max@a.weight 1.1e-3x2
    grad_max@a.bias 1.1e-3x2
    grad_max@b.weight 1.1e-3x2
    grad_max@b.bias 1.1e-3x2
    dead_fraction@act 0.1x2

    grad_zero_fraction@a.weight 0.9x2
    grad_zero_fraction@a.bias 0.9x2
    grad_zero_fraction@b.weight 0.0x2
    grad_zero_fraction@b.bias 0.0x2
    grad_max@a.weight 0.9e-3x2
    grad_max@a.bias 0.9e-3x2
    grad_max@b.weight 0.9e-3x2
    grad_max@b.bias 0.9e-3x2
    dead_fraction@act 0.1x2

## What to do
Scale the loss (`torch.amp.GradScaler`), or use bfloat16, whose range is that of float32.

## Source
Micikevicius et al. 2018 (Mixed Precision Training), figure 3: where half of the gradients lie below
the range of float16, networks stop learning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import extent, named
from steadytrain.rules._looks import REACH, Look, lasting

EARLY: Final = 200

MAX_SIZE: Final = 1e-3
"""Largest element of a gradient half of which may lie below the smallest half-precision number, 6e-8:
elements of one gradient span four decades. Samples that are right already leave zeros beside larger
ones."""

MAX_SILENT: Final = 0.85
"""Zeros in an output from which on zeros of the gradient are no surprise."""


@rule(code="PRE003", causes=("fp16-underflow", "dying-relu"), repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class GradientsRoundToZero:
    """Options of the rule."""

    max_fraction: float = 0.5
    """Share of zeros that most gradients may hold."""

    def __post_init__(self) -> None:
        if not 0 < self.max_fraction < 1:
            msg = f"max_fraction must be between 0 and 1, got {self.max_fraction}: it is a share."
            raise ValueError(f"{msg} Try 0.5.")

    @property
    def lookback(self) -> int:
        return REACH

    def check(self, history: History, /) -> Iterator[Finding]:
        stat = "grad_zero_fraction"
        for look in lasting(history, stat, 2, lambda rows: rows > self.max_fraction):
            count = int(look.measured.sum())
            is_early = look.step - history.first_step <= EARLY
            if not (count >= 4 and look.hit.sum() > 0.7 * count and is_early):
                continue
            gone = history.between("grad_norm_total", look.step, look.step + 1)[0, 0] == 0
            scaled = gone or _is_scaled(history, look.step)  # gone altogether is another fault
            tiny = 0 < _largest(history, look) < MAX_SIZE  # all zero is another fault
            if _is_alive(history, look.step) and tiny and not scaled:
                yield self._finding(history, look)

    def _finding(self, history: History, look: Look) -> Finding:
        names = history.sites("grad_zero_fraction")
        share = float(np.median(look.values[look.hit]))
        return state(
            self,
            step=look.step,
            severity=Severity.WARNING,
            site=named(names, look.hit)[0],
            message=f"{share:.0%} of the elements are exactly zero in {extent(look.hit, look.measured, 'gradients')} "
            "though the units are alive: they are too small for half precision. Scale the loss, or use "
            "bfloat16.",
            evidence={"fraction": share, "parameters": named(names, look.hit)},
        )


def _is_alive(history: History, step: int) -> bool:
    zeros = history.between("act_zero_fraction", step - 20, step + 1)
    zeros = zeros[np.isfinite(zeros)]
    if len(zeros) and zeros.max() > MAX_SILENT:
        return False
    for stat in ("dead_fraction", "input_dead_fraction"):
        steps, rows = history.head(stat, 64)
        seen = rows[steps <= step]
        if len(seen) and np.isfinite(seen).any() and np.nanmedian(seen) > 0.3:
            return False
    return True


def _largest(history: History, look: Look) -> float:
    """The median gradient's largest element; NaN where it was not measured."""
    largest = history.between("grad_max", look.step, look.step + 1)[0][look.hit]
    return float(np.median(largest)) if np.isfinite(largest).all() else float("nan")


def _is_scaled(history: History, step: int) -> bool:
    return bool(np.isfinite(history.between("loss_scale", step, step + 1)).any())
