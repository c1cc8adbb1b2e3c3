"""A step changes the weights by a large part of their own size.

## What it sees
The median over the weight matrices of update norm over weight norm: above a half on a single
step, or above a tenth on most of the last twenty steps. Biases and normalisation scales are left
out: they begin at zero or one and say nothing about the rate.

## Why it matters
A step as long as the weights themselves overwrites the initialisation and whatever was learned;
the loss may still fall afterwards, from a worse place.

## Fires on
    update_ratio@a.weight 0.001x30 0.51
    update_ratio@b.weight 0.001x30 0.51

    update_ratio@a.weight 0.101x30
    update_ratio@b.weight 0.101x30

## Stays silent on
    update_ratio@a.weight 0.001x30 0.49
    update_ratio@b.weight 0.001x30 0.49

    update_ratio@a.weight 0.099x30
    update_ratio@b.weight 0.099x30

    update_ratio@a.bias 5.0x30
    update_ratio@a.weight 0.001x30
    update_ratio@b.weight 0.001x30

## What to do
Lower the learning rate by the factor that brings the ratio to about 0.001 to 0.01, or warm up.

## Source
About 1e-3 is usual (Karpathy, CS231n notes, "ratio of weights:updates"). A tenth sustained and a
half at once are where healthy and faulty runs part in benchmarks/results/rule_faults.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import median
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import matrix_medians
from steadytrain.rules._extent import number

WINDOW: Final = 20

LARGE_LOSS: Final = 30.0
"""First loss above which a sum may stand where a mean is meant."""


SMALL_OUTPUT: Final = 3.0
"""Size of outputs that no loss of one sample makes large."""

OUTLIER: Final = 3.0
"""Factor over the steps before it from which a step is long because of its gradient."""

SEVERAL: Final = 4
"""Backward passes of a step whose sum, where their mean is meant, is a rate several times as high."""

_ADDED: Final = ("accum-not-divided", "lr-too-high", "loss-reduction")
_SUMMED: Final = ("loss-reduction", "lr-too-high", "missing-warmup")
_ONCE: Final = ("bad-batch", "missing-grad-clip", "lr-too-high")
_TAILS: Final = ("missing-grad-clip", "lr-too-high", "bad-batch", "missing-warmup")


@rule(
    code="OPT002", causes=("lr-too-high", "missing-warmup", "init-too-small", "momentum-too-high")
)
@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRatioTooLarge:
    """Options of the rule."""

    max_ratio: float = 0.5
    """Update over weight that the median matrix may reach on a single step."""
    max_usual: float = 0.1
    """Update over weight that the median matrix may keep over twenty steps."""

    def __post_init__(self) -> None:
        if not 0 < self.max_usual <= self.max_ratio:
            msg = f"max_usual must be above 0 and at most max_ratio, got {self.max_usual} and"
            raise ValueError(
                f"{msg} {self.max_ratio}: one is for many steps, one for one. Try 0.1 and 0.5."
            )

    @property
    def lookback(self) -> int:
        return WINDOW - 1

    def check(self, history: History, /) -> Iterator[Finding]:
        steps = range(history.fresh, history.step + 1)
        if not (history.between("update_ratio", steps.start, steps.stop) > self.max_usual).any():
            return
        ratios = matrix_medians(history, "update_ratio", steps)
        if not (ratios > self.max_usual).any():
            return
        earlier = range(steps.start - self.lookback, steps.start)
        context = np.concatenate([matrix_medians(history, "update_ratio", earlier), ratios])
        windows = np.lib.stride_tricks.sliding_window_view(context, WINDOW)
        usual = median(windows)
        still = median(windows[:, -WINDOW // 4 :]) > self.max_usual
        usual = np.where(still & np.isfinite(windows).all(axis=1), usual, np.nan)
        for row in np.flatnonzero((ratios > self.max_ratio) | (usual > self.max_usual)):
            yield self._finding(history, history.fresh + int(row), ratios[row], usual[row])

    def _finding(self, history: History, step: int, ratio: float, usual: float) -> Finding:
        lasting = usual > self.max_usual
        seen, limit = (usual, self.max_usual) if lasting else (ratio, self.max_ratio)
        severity = Severity.CRITICAL if seen > 1 else Severity.WARNING
        if lasting and seen < self.max_ratio and _falls(history, step):
            severity = Severity.NOTE
        causes = () if lasting else _causes(history, step, ratio)
        if not causes and _adds_up(history, step):
            causes = _ADDED
        if _is_large(history, step):
            causes = _SUMMED
        span = f"over the last {WINDOW} steps" if lasting else "on this step"
        return state(
            self,
            step=step,
            severity=severity,
            causes=causes,
            message=f"The median weight matrix changed by {seen:.1%} of its size {span}, where {limit:.0%} "
            f"is a lot and 0.1% is usual. Lower the learning rate at least {number(seen / 0.01)}-fold, or warm up.",
            evidence={"update_ratio": seen, "limit": limit, "lasting": bool(lasting)},
        )


def _falls(history: History, step: int) -> bool:
    """Whether the loss of the last steps is below that of the window's first."""
    losses = history.between("loss", step - WINDOW + 1, step + 1)[:, 0]
    losses = losses[np.isfinite(losses)]
    return len(losses) >= WINDOW // 2 and bool(np.median(losses[-5:]) < np.median(losses[:5]))


def _is_large(history: History, step: int) -> bool:
    """Whether the first loss is far above that of guessing though the first outputs are small."""
    first = history.head("loss", 1)[1]
    known, sizes = history.head("act_rms", 1)
    ran = sizes[0][np.isfinite(sizes[0])] if len(known) and known[0] <= step else np.empty(0)
    small = not len(ran) or bool(ran[-1] < SMALL_OUTPUT)
    return len(first) > 0 and bool(np.abs(first[0, 0]) > LARGE_LOSS) and small


def _adds_up(history: History, step: int) -> bool:
    """Whether a step has several backward passes and is as long as its gradient."""
    counts = history.between("num_microbatches", step - WINDOW + 1, step + 1)
    counts = counts[np.isfinite(counts)]
    scaled = "second_moment_rms" in history
    return len(counts) > 0 and bool(np.median(counts) >= SEVERAL) and not scaled


def _causes(history: History, step: int, ratio: float) -> tuple[str, ...]:
    """One long step among short ones was given by its gradient: by a batch, or by a heavy tail."""
    before = matrix_medians(history, "update_ratio", range(max(step - WINDOW, 0), step))
    usual = float(median(before)) if len(before) else float("nan")
    if not ratio > OUTLIER * usual:
        return ()
    calm = int(np.isfinite(before).sum()) >= WINDOW // 2 and np.nanmax(before) < ratio / OUTLIER
    if calm:
        return _ONCE
    scaled = "second_moment_rms" in history  # Adam's steps do not grow with the gradient
    unclipped = "clip_coefficient" not in history
    return _TAILS if unclipped and not scaled else ()
