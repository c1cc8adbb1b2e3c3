"""Weight decay pulls harder than the loss.

## What it sees
A decay that takes more than half a percent of the weights at every step, or whose pull on the
gradient is several times the gradient itself, at several looks while the loss is still far from
nothing. It tells decay of the matrices from decay of norms, biases and embeddings alone.

## Why it matters
The weights shrink to where decay and gradient balance: outputs fade and the loss rises, whatever the
rate.

## Fires on
    decoupled_decay@a.weight 0.51
    learning_rate@0 0.01x31
    grad_rms@a.weight 0.1x31
    grad_norm@a.weight 10x31
    param_norm@a.weight 1x31

## Stays silent on
    decoupled_decay@a.weight 0.49
    learning_rate@0 0.01x31
    grad_rms@a.weight 0.1x31
    grad_norm@a.weight 10x31
    param_norm@a.weight 1x31

## What to do
AdamW: 0.01 to 0.1. SGD and Adam, where decay is added to the gradient: 1e-5 to 1e-3. None for norms,
biases and rarely used embeddings.

## Source
Loshchilov and Hutter 2019 (Decoupled Weight Decay); rate times decay is 3e-5 in the usual recipes of
language models.
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
from steadytrain.rules._depth import matrices, tenth_rows, weight_sites
from steadytrain.rules._extent import Mask, extent, named, number

_EVERYWHERE: Final = ("weight-decay-too-high", "weight-decay-misapplied")
_APART: Final = ("weight-decay-misapplied", "weight-decay-too-high")

FORGETTING: Final = 0.05
"""Share per step from which nothing that is learned lasts, whatever the loss does: a weight without
a gradient is halved in fourteen steps."""

LEAST: Final = 1e-3
"""Factor from which decay that is added to the gradient may be compared with it."""

LOOK_BACK: Final = 20
"""Steps before, at which the pull must have been as strong."""


@rule(code="OPT010", causes=_EVERYWHERE, repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class DecayTooStrong:
    """Options of the rule."""

    max_rate: float = 0.005
    """Share of the weights that decay may take at a step."""
    max_pull: float = 5.0
    """Decay over gradient, where decay is added to the gradient."""

    def __post_init__(self) -> None:
        if not (0 < self.max_rate < 1 and self.max_pull > 0):
            msg = f"max_rate must be in 0..1 and max_pull above 0, got {self.max_rate} and"
            raise ValueError(f"{msg} {self.max_pull}. Try 0.005 and 5.")

    @property
    def lookback(self) -> int:
        return LOOK_BACK

    def check(self, history: History, /) -> Iterator[Finding]:
        for step, rms in tenth_rows(history, "grad_rms"):
            if step - history.first_step < LOOK_BACK:
                continue
            coupled, decoupled = (
                _known(history, s, step) for s in ("coupled_decay", "decoupled_decay")
            )
            most = max(coupled.max(initial=0.0), decoupled.max(initial=0.0))
            if not (
                coupled.max(initial=0.0) > LEAST or _rate(history, step) * most > self.max_rate
            ):
                continue
            hit = self._hit(history, step, coupled, decoupled)
            hit &= self._hit(history, step - LOOK_BACK + 1, coupled, decoupled)
            if hit.any():
                yield self._finding(history, step, hit, rms, coupled, decoupled)

    def _hit(self, history: History, step: int, coupled: Floats, decoupled: Floats) -> Mask:
        rate = _rate(history, step)
        pull = _pull(history, step, coupled)
        fast = rate * np.maximum(coupled, decoupled) > self.max_rate
        return fast | ((pull > self.max_pull) & (coupled > LEAST) & (not _is_done(history, step)))

    def _finding(
        self,
        history: History,
        step: int,
        hit: Mask,
        rms: Floats,
        coupled: Floats,
        decoupled: Floats,
    ) -> Finding:
        names = history.sites("grad_rms")
        norms = history.between("grad_norm", step, step + 1)[0]
        inner = np.zeros(len(names), dtype=np.bool_)
        inner[matrices(names, norms, rms)] = True
        everywhere = (hit & inner).sum() > 0.5 * max(1, int(inner.sum()))
        share = float(_rate(history, step) * np.nanmax(np.where(hit, decoupled + coupled, 0.0)))
        pull = _pull(history, step, coupled)[hit]
        first, now = history.head("loss", 8)[1], history.between("loss", step - 7, step + 1)[:, 0]
        gains = _gains(history, step)
        spared = bool((gains & weight_sites(names)[0] & ~hit).any())  # norms undo the shrinking
        now = now[np.isfinite(now)]
        fallen = (0.85 if spared else 0.5) * (np.median(first) if len(first) else np.nan)
        fine = len(now) > 0 and bool(now.mean() < fallen)
        harmless = (fine or not everywhere) and not (hit & gains).any()  # a norm may follow
        harmless &= not share > FORGETTING
        return state(
            self,
            step=step,
            severity=Severity.NOTE if harmless else Severity.WARNING,
            site=None if everywhere else named(names, hit)[0],
            message=f"Rate times weight decay is {number(share)} per step for "
            f"{extent(hit, np.isfinite(rms), 'parameters')} (3e-5 is usual), and the decay pulls "
            f"{number(float(np.nanmedian(pull)) if np.isfinite(pull).any() else 0.0)} times as hard as the gradient. "
            "Lower it; leave out norms, biases and rare embeddings.",
            causes=_EVERYWHERE if everywhere else _APART,
            evidence={"decay_rate": share, "parameters": named(names, hit)},
        )


def _known(history: History, stat: str, step: int) -> Floats:
    """The factor at every site as it was last told; 0 where it never was."""
    known = np.zeros(len(history.sites("grad_rms")))
    steps, rows = history.head(stat, 64)
    for row in rows[steps <= step]:
        known = np.where(np.isfinite(row), row, known)
    return known


def _rate(history: History, step: int) -> float:
    rates = history.between("learning_rate", step, step + 1)[0]
    rates = rates[np.isfinite(rates)]
    return float(rates.min()) if len(rates) else 0.0


def _pull(history: History, step: int, coupled: Floats) -> Floats:
    """The decay's part of the gradient over the loss's, at every site."""
    kept = history.between("clip_coefficient", step, step + 1)[0, 0]
    weights = history.between("param_norm", step, step + 1)[0]
    grads = history.between("grad_norm", step, step + 1)[0] * (kept if kept > 0 else 1.0)
    usable = (grads > 0) & np.isfinite(weights)
    return np.where(usable, coupled * weights / np.where(usable, grads, 1.0), np.nan)


def _is_done(history: History, step: int) -> bool:
    """Whether the loss has fallen to a tenth: gradients are then small for a good reason."""
    first = history.head("loss", 8)
    first = first[1][first[0] <= step]
    now = history.between("loss", step, step + 1)[0, 0]
    return bool(len(first) and now < 0.1 * np.median(first))


def _gains(history: History, step: int) -> Mask:
    """Biases, and scales of norms: weights with as many elements as the bias beside them."""
    names = history.sites("grad_rms")
    weights, beside = weight_sites(names)
    norm, rms = (history.between(stat, step, step + 1)[0] for stat in ("grad_norm", "grad_rms"))
    known = (norm > 0) & (rms > 0)
    size = np.where(known, norm / np.where(known, rms, 1.0), np.nan) ** 2
    return np.asarray(~weights | ((beside >= 0) & (size < 1.5 * size[beside])))
