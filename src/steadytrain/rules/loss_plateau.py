"""The loss has stayed where it began.

## What it sees
Over a window of steps the loss has not fallen below its first values by more than its noise
explains, and it is not falling now. A loss that fell and then flattened, one that falls slowly
through its noise, and one that began near its floor are something else. Where the weights hardly
move it is only noted: a run that goes on from trained weights looks the same.

## Why it matters
Nothing is being learned, and the curve looks calm: this is how swapped labels, a network without
a gradient, and a learning rate a thousand times too small all look.

## Fires on
    loss 2.30x250

## Stays silent on
    loss 2.30x190

    loss 2.3->2.0x300

    loss 2.3->1.0x60 1.0x240

    learning_rate 1e-5..1e-3x300
    loss 2.30x300

## What to do
Overfit one batch: if that works, inputs and labels do not belong together. If it does not, look
at vanishing gradients, at parameters the optimizer does not hold, then raise the learning rate
by ten. A run that goes on from trained weights may stand still because it has nothing to learn.

## Source
Three standard errors of medians on both sides; the window and the share of the level are set on
the healthy and faulty runs of benchmarks/results/rule_faults.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.columns import HEAD_ROWS
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.robust import Rows, Trail, median, spread, trail
from steadytrain.core.rule import rule, state
from steadytrain.rules._depth import matrix_medians
from steadytrain.rules._extent import Mask, number
from steadytrain.rules._schedule import is_rising
from steadytrain.rules._standstill import FIRST, FLOOR, Standstill, standstill, tenth_steps

SMALL_MOVES: Final = 1e-4
"""Update over weight below which a still loss is only noted: weights that were trained before
and hardly move now look the same."""

USUAL_MOVES: Final = 5e-4
"""Update over weight at which weights train well: the rate is not what is missing."""

GUESSING: Final = 16
"""Steps in which a network learns to guess: how often each class is, or the mean."""

SETTLED: Final = 0.03
"""Share of the level by which a loss that stands may have moved."""

_UNLEARNABLE: Final = (
    "label-misaligned",
    "label-noise",
    "wrong-axis",
    "shape-broadcast",
    "detached-graph",
    "lr-too-low",
)


@rule(
    code="DYN004",
    causes=(
        "lr-too-low",
        "label-misaligned",
        "label-noise",
        "vanishing-gradient",
        "params-not-in-optimizer",
        "detached-graph",
    ),
)
@dataclass(frozen=True, slots=True, kw_only=True)
class LossPlateau:
    """Options of the rule."""

    window: int = 200
    """Steps the loss must have stood still for."""

    def __post_init__(self) -> None:
        if not 40 <= self.window <= 500:
            msg = (
                f"window must be 40 to 500 steps, got {self.window}: noise hides a slope in fewer."
            )
            raise ValueError(f"{msg} Try 200.")

    @property
    def lookback(self) -> int:
        return self.window

    def check(self, history: History, /) -> Iterator[Finding]:
        losses = trail(history, "loss")
        rows = tenth_steps(losses)
        rows = rows[self._may_stand(history, losses, rows)]
        if not len(rows):
            return
        seen = standstill(history, losses, rows, self.window)
        settled = self._settled(history, losses, rows, seen)
        for at in np.flatnonzero((seen.still == 1) | settled):
            step = int(losses.steps[rows[at]])
            if not is_rising(history, step, self.window):
                moves = float(matrix_medians(history, "update_ratio", [step])[0])
                yield self._finding(step, seen.level[at], seen.beginning, seen.noise[at], moves)

    def _may_stand(self, history: History, losses: Trail, rows: Rows) -> Mask:
        """Where the level is near the first losses or near those after them: in few runs for long."""
        head = history.head("loss", HEAD_ROWS)[1]
        if not len(rows) or len(head) < HEAD_ROWS:
            return np.zeros(len(rows), dtype=np.bool_)
        level = median(losses.before(rows, self.window, reach=self.window // 2, lag=-1))
        first, since = float(median(head[:FIRST, 0])), float(np.median(head[GUESSING:]))
        return np.asarray(
            (np.abs(first - level) <= (0.05 + FLOOR) * np.abs(level))
            | (np.abs(since - level) <= 2 * SETTLED * abs(since))
        )

    def _settled(self, history: History, losses: Trail, rows: Rows, seen: Standstill) -> Mask:
        """Whether the loss has stood, to a few percent, since the first dozen steps.

        Guessing is learned in these, and nothing was after them.
        """
        head = history.head("loss", HEAD_ROWS)[1]
        if len(head) < HEAD_ROWS:
            return np.zeros(len(rows), dtype=np.bool_)
        since = float(np.median(head[GUESSING:]))
        recent = losses.before(rows, self.window, reach=self.window, lag=-1)
        still = np.abs(seen.level - since) < SETTLED * abs(since)
        old = losses.steps[rows] - history.first_step >= self.window
        middle = median(recent)
        calm = spread(recent, middle) < 0.1 * np.abs(middle)
        half = self.window // 2
        early = median(recent[:, : recent.shape[1] - half])
        flat = np.abs(early - seen.level) < 0.5 * SETTLED * np.abs(since)
        return np.asarray(still & old & calm & flat & np.isfinite(recent).all(axis=1))

    def _finding(
        self, step: int, level: float, beginning: float, noise: float, moves: float
    ) -> Finding:
        return state(
            self,
            step=step,
            severity=Severity.NOTE if moves < SMALL_MOVES else Severity.WARNING,
            causes=_UNLEARNABLE if moves > USUAL_MOVES else (),
            message=f"After {step} steps the loss is {number(level)}; it began at {number(beginning)}, and a "
            f"batch alone moves it by {number(noise)}. Nothing is learned: check that labels belong to "
            "inputs and that gradients reach the first layer, then raise the learning rate tenfold.",
            evidence={
                "level": level,
                "beginning": beginning,
                "noise": noise,
                "window": self.window,
                "update_ratio": moves,
            },
        )
