"""A gradient is NaN or infinite, or so large that its norm overflows.

## What it sees
Gradients with elements that are not finite on a step that was not skipped by a loss scaler; or
finite gradients whose total norm is infinite. It tells apart a fault of the forward pass, of
which this is the echo, from one that the backward pass made.

## Why it matters
Clipping by norm spreads one NaN over all gradients; with an infinite norm it turns every
gradient into zero and nobody notices.

## Fires on
    grad_num_nonfinite@a.weight 0x5 1
    grad_num_nonfinite@b.weight 0x6

    grad_norm_total 1.0x5 inf
    grad_num_nonfinite@a.weight 0x6

## Stays silent on
    grad_num_nonfinite@a.weight 0x6
    grad_norm_total 1.0x5 1e30

    grad_num_nonfinite@a.weight 0x5 1
    step_skipped 0x5 1
    loss_scale 65536x5 32768

## What to do
Forward not finite: see the finding on activations. Only the gradient not finite: look at the
named parameter's operation for a derivative without bound (square root or norm at zero, a
division, a `where` over an invalid branch). Finite but huge: clip by value first, or lower the
learning rate.

## Source
No threshold. Backward runs against the order of the parameters, so the last one in that order
is where it was seen first. Scaler: five skipped steps in a row are more than the search for a
scale needs, which halves it once per skip from 2**16 (torch.amp.GradScaler).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._blame import REACH, blame
from steadytrain.rules._extent import Mask, extent, named

_BACKWARD = ("sqrt-zero-grad", "div-by-zero", "log-of-zero", "fp16-overflow")


@rule(code="GRD003", causes=(*_BACKWARD, "exploding-gradient"))
@dataclass(frozen=True, slots=True, kw_only=True)
class NonfiniteGradient:
    """Options of the rule."""

    max_skips: int = 5
    """Steps in a row that a loss scaler may skip before it is a finding."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_skips <= 500:
            msg = f"max_skips must be 1 to 500 steps, got {self.max_skips}: a loss scaler skips"
            raise ValueError(f"{msg} a few steps until it has found its scale. Try 5.")

    @property
    def lookback(self) -> int:
        return max(self.max_skips, REACH) + 1

    def check(self, history: History, /) -> Iterator[Finding]:
        start, stop = history.fresh, history.step + 1
        bad = np.any(history.between("grad_num_nonfinite", start, stop) > 0, axis=1)
        total = np.isinf(history.between("grad_norm_total", start, stop)).any(axis=1)
        for row in np.flatnonzero(bad | total):
            step = start + int(row)
            if not self._is_search_for_scale(history, step):
                yield self._broken(history, step) if bad[row] else self._huge(history, step)

    def _is_search_for_scale(self, history: History, step: int) -> bool:
        """Whether a loss scaler skipped the step, and not yet too many in a row."""
        skips = history.between("step_skipped", step - self.max_skips, step + 1)[:, 0]
        return bool(skips[-1] == 1) and not bool((skips == 1).all())

    def _broken(self, history: History, step: int) -> Finding:
        counts = history.between("grad_num_nonfinite", step, step + 1)[0]
        hit, measured = counts > 0, np.isfinite(counts)
        names = history.sites("grad_num_nonfinite")
        shown = named(names, hit, np.arange(len(names))[::-1])
        echo = forward_failed(history, step)
        reason = (
            "The forward pass was not finite already: this is its echo, see its finding"
            if echo
            else "The forward pass was finite: look there for a derivative without bound (sqrt or norm at 0)"
        )
        return state(
            self,
            step=step,
            severity=Severity.CRITICAL,
            site=shown[0],
            message=f"{extent(hit, measured, 'gradients')} hold NaN or infinite elements, backward met "
            f"{shown[0]} first. {reason}.",
            causes=blame(history, step).causes,
            evidence=_numbers(hit, measured, shown, "forward" if echo else "backward"),
        )

    def _huge(self, history: History, step: int) -> Finding:
        norms = history.between("grad_norm", step, step + 1)[0]
        hit, measured = ~(norms < 1e15) & ~np.isnan(norms), ~np.isnan(norms)
        names = history.sites("grad_norm")
        shown = named(names, hit)
        return state(
            self,
            step=step,
            severity=Severity.CRITICAL,
            site=shown[0] if shown else None,
            message="Every gradient element is finite, but they are so large that the total norm is "
            f"infinite ({extent(hit, measured, 'gradients')} above 1e15): clipping by that norm makes "
            "all gradients zero. Lower the learning rate or clip by value first.",
            causes=("exploding-gradient", "lr-too-high", "init-too-large", "loss-reduction"),
            evidence=_numbers(hit, measured, shown, "overflow"),
        )


def _numbers(hit: Mask, measured: Mask, shown: list[str], origin: str) -> dict[str, object]:
    return {
        "origin": origin,
        "parameters": shown,
        "num_parameters": hit.sum(),
        "num_measured": measured.sum(),
    }


def forward_failed(history: History, step: int) -> bool:
    """Whether the loss or a module's output was non-finite on the step."""
    names = ("loss_num_nonfinite", "act_num_nonfinite", "batch_num_nonfinite")
    return any((history.between(name, step, step + 1) > 0).any() for name in names)
