"""A parameter that should be trained is not.

## What it sees
A parameter that requires a gradient but that no watched optimizer holds. Or one that the
optimizer holds and that has not changed by a bit in fifty steps, or never had a gradient, while
others did. Parameters of modules that never ran are only noted. Parameters without
`requires_grad` are frozen on purpose and are not counted.

## Why it matters
The network trains around the part that stands still; the loss falls, only not as far.

## Fires on
    in_optimizer@a.weight 1
    in_optimizer@b.weight 0

    in_optimizer@a.weight 1
    in_optimizer@b.weight 1
    update_norm@a.weight 0x60
    update_norm@b.weight 0.1x60
    grad_norm@a.weight 1x60
    grad_norm@b.weight 1x60

## Stays silent on
    in_optimizer@a.weight 1
    in_optimizer@b.weight 1
    update_norm@a.weight 0x40
    update_norm@b.weight 0.1x40
    grad_norm@a.weight 1x40
    grad_norm@b.weight 1x40

    update_norm@a.weight 0x60
    update_norm@b.weight 0x60
    grad_norm@a.weight 1x60
    grad_norm@b.weight 1x60

    update_norm@b.weight 0.1x60
    grad_norm@b.weight 1x60

## What to do
Build the optimizer from all parameters, after the model is complete. Where a gradient never
arrives, look for detach, .data, numpy, argmax or no_grad between the parameter and the loss. To
freeze a parameter, set `requires_grad_(False)`.

## Source
No threshold but exact zero; fifty steps let projections that begin at zero open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import tenth_rows
from steadytrain.rules._extent import Mask, extent, named

_MISSING = ("params-not-in-optimizer", "stale-optimizer-params")
_STALE = ("stale-optimizer-params", "params-not-in-optimizer")
"""The optimizer holds tensors of another model: it was built before this one."""
_STRANGER = re.compile(r"optimizer\d+\.group\d+\.\d+")
"""The name of a parameter that only an optimizer holds."""
_STUCK = ("low-precision-update-lost", "frozen-params", "lr-schedule-wrong")
_CLIPPED = ("clip-too-tight", "lr-too-low", "frozen-params")
_SLOW = ("lr-too-low", "frozen-params", "clip-too-tight")
_APART = ("frozen-params", "lr-schedule-wrong", "low-precision-update-lost")
_CUT = ("detached-graph", "frozen-params")


TINY_MOVES: Final = 1e-6
"""Update over weight below which float32, whose numbers are 1e-7 apart, loses some updates."""

TIGHT: Final = 0.01
"""Share of the gradient left by a clip that rules the step."""


@rule(code="OPT005", causes=(*_MISSING, *_CUT, "low-precision-update-lost"), repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class UntrainedParameter:
    """Options of the rule."""

    window: int = 50
    """Steps a parameter must have stood still for."""

    def __post_init__(self) -> None:
        if not 10 <= self.window <= 500:
            msg = f"window must be 10 to 500 steps, got {self.window}: some parameters start late."
            raise ValueError(f"{msg} Try 50.")

    @property
    def lookback(self) -> int:
        return self.window

    def check(self, history: History, /) -> Iterator[Finding]:
        steps, held = history.measured("in_optimizer")
        for row in np.flatnonzero((held == 0).any(axis=1) & (steps >= history.fresh)):
            yield self._missing(history, int(steps[row]), held[row])
        for step, norms in tenth_rows(history, "grad_norm"):
            if step - history.first_step >= self.window:
                yield from self._standing(history, step, norms)

    def _standing(self, history: History, step: int, norms: np.ndarray) -> Iterator[Finding]:
        now = history.between("update_norm", step, step + 1)[0]
        trained = _trained(history, step)
        suspect = trained & (now == 0) | trained & np.isnan(norms)
        if not suspect.any() or not (now > 0).any():
            return
        moves = history.between("update_norm", step - self.window + 1, step + 1)
        gradients = history.between("grad_norm", step - self.window + 1, step + 1)
        others = (moves > 0).any(axis=1).mean() > 0.5
        still = suspect & ~(moves > 0).any(axis=0)
        received = (gradients > 0).mean(axis=0) > 0.5
        stuck = still & received & (np.isfinite(moves).sum(axis=0) >= 10)
        never = still & np.isnan(gradients).all(axis=0) & _never_before(history, step)
        silent = still & ~received & ~never & (gradients == 0).any(axis=0)
        if others and stuck.any():
            yield self._stuck(history, step, stuck, trained)
        if others and never.any():
            yield self._cut(history, step, never, trained)
        elif others and silent.any() and not stuck.any():
            yield self._silent(history, step, silent, trained)

    def _missing(self, history: History, step: int, held: np.ndarray) -> Finding:
        hit = held == 0
        names = history.sites("in_optimizer")
        shown = named(names, hit)
        strangers = np.array([bool(_STRANGER.match(name)) for name in names]) & (held == 1)
        return self._say(
            history, step, Severity.WARNING, hit, np.isfinite(held),
            _STALE if strangers.any() else _MISSING,
            f"require a gradient but are in no watched optimizer, {shown[0]} first (0 is right): they stay as "
            "they were initialised. Give them to the optimizer, or set requires_grad_(False) to freeze them.",
        )  # fmt: skip

    def _stuck(self, history: History, step: int, hit: Mask, trained: Mask) -> Finding:
        return self._say(
            history, step, Severity.WARNING, hit, trained, _of_stuck(history, step, hit),
            f"get a gradient but have not changed by a single bit in {self.window} steps while others moved. "
            "Look at the learning rate of their group, and at updates lost to low precision.",
        )  # fmt: skip

    def _cut(self, history: History, step: int, hit: Mask, trained: Mask) -> Finding:
        """Parameters at the far end, or of modules that never ran, are unused: nothing was cut."""
        others = np.flatnonzero(trained & ~hit)
        at_the_end = len(others) > 0 and np.flatnonzero(hit).min() > others.max()
        unused = at_the_end or not (hit & _may_have_run(history, step)).any()
        return self._say(
            history, step, Severity.NOTE if unused else Severity.WARNING, hit, trained, _CUT,
            f"never had a gradient in {step + 1} steps while others did. "
            "Look for detach, .data, argmax or no_grad between them and the loss.",
        )  # fmt: skip

    def _silent(self, history: History, step: int, hit: Mask, trained: Mask) -> Finding:
        return self._say(
            history, step, Severity.NOTE, hit, trained, ("dying-relu", "router-collapse", "frozen-params"),
            f"had a gradient of exactly zero for {self.window} steps: unused in the forward pass, behind dead "
            "units, or multiplied by zero. If that is not meant, look at the modules after them.",
        )  # fmt: skip

    def _say(
        self, history: History, step: int, severity: Severity, hit: Mask, measured: Mask,
        causes: tuple[str, ...], text: str,
    ) -> Finding:  # fmt: skip
        shown = named(history.sites("grad_norm"), hit)
        return state(
            self,
            step=step,
            severity=severity,
            site=shown[0],
            message=f"{extent(hit, measured, 'parameters')} {text}",
            causes=causes,
            evidence={
                "parameters": shown,
                "num_parameters": hit.sum(),
                "num_measured": measured.sum(),
            },
        )


def _trained(history: History, step: int) -> Mask:
    """Which parameters an optimizer held when that was last looked at."""
    steps, rows = history.head("in_optimizer", 64)
    known = np.full(len(history.sites("in_optimizer")), np.nan)
    for row in rows[steps <= step]:
        known = np.where(np.isfinite(row), row, known)
    return np.equal(known, 1)


def _may_have_run(history: History, step: int) -> Mask:
    """Which parameters belong to a module that gave an output, or to one not known at all.

    An expert that no batch was routed to has no output either.
    """
    owners = [name.rpartition(".")[0] for name in history.sites("grad_norm")]
    steps, outputs = history.head("act_rms", 64)
    ran = np.isfinite(outputs[steps <= step]).any(axis=0)
    if not ran.any():
        return np.ones(len(owners), dtype=np.bool_)
    modules = history.sites("act_rms")
    called = {modules[at] for at in np.flatnonzero(ran)}
    return np.array([owner in called for owner in owners], dtype=np.bool_)


def _never_before(history: History, step: int) -> Mask:
    """Which parameters had no gradient in the run's first rows either."""
    steps, rows = history.head("grad_norm", 64)
    return np.all(np.isnan(rows[steps <= step]), axis=0)


def _of_stuck(history: History, step: int, hit: Mask) -> tuple[str, ...]:
    """Updates are lost in any precision where all of them are tiny; only then look at what is apart."""
    if "lost_update_fraction" in history:
        return _STUCK
    moves = history.between("update_ratio", step - 9, step + 1)[:, ~hit]
    moves = moves[np.isfinite(moves) & (moves > 0)]
    if not len(moves) or np.median(moves) > TINY_MOVES:
        return _APART
    kept = history.between("clip_coefficient", step - 9, step + 1)
    kept = kept[np.isfinite(kept)]
    return _CLIPPED if len(kept) and np.median(kept) < TIGHT else _SLOW
