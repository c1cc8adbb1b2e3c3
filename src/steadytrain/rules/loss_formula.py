"""The loss is computed of something else than it is made for.

## What it sees
The operations next to the loss, which the autograd graph names with their shapes. Four pairs never
belong together: a softmax or sigmoid before a loss that applies one itself; a negative log-likelihood
of what is no logarithm; one whose chances are taken over the batch; n predictions of which each is
compared with each of n targets.

## Why it matters
Nothing raises. The loss falls a little or not at all, towards a floor that no weights can leave.

## Fires on
    loss_num_squashed 1
    loss 2.3

    loss_num_broadcast 1
    loss 1.0

## Stays silent on
    loss_num_squashed 0
    loss_num_unlogged 0
    loss_num_across_batch 0
    loss_num_broadcast 0
    loss 2.3

## What to do
Give cross entropy and the losses "with logits" the raw outputs; give `nll_loss` a
`log_softmax(dim=-1)`; bring predictions and targets to one shape.

## Source
No threshold: what the losses of `torch.nn.functional` are documented to take.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state

_MISTAKES: Final = {
    "loss_num_squashed": (
        "softmax or sigmoid stands before a loss that applies one itself: give it the raw outputs",
        ("double-softmax", "loss-input-mismatch"),
    ),
    "loss_num_unlogged": (
        "negative log-likelihood is taken of numbers that are no logarithms of chances: give it "
        "log_softmax(dim=-1) of the outputs, or use cross_entropy",
        ("loss-input-mismatch",),
    ),
    "loss_num_across_batch": (
        "log_softmax before the negative log-likelihood runs over the batch, so that samples compete "
        "for each class: take dim=-1",
        ("wrong-axis", "loss-input-mismatch"),
    ),
    "loss_num_broadcast": (
        "difference compares every prediction with every target, because their shapes are broadcast: "
        "bring both to one shape",
        ("shape-broadcast",),
    ),
}


@rule(
    code="LOS005",
    causes=("double-softmax", "loss-input-mismatch", "wrong-axis", "shape-broadcast"),
    repeat_after=10_000,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class LossFormula:
    """No options."""

    @property
    def lookback(self) -> int:
        return 0

    def check(self, history: History, /) -> Iterator[Finding]:
        for stat, (what, causes) in _MISTAKES.items():
            steps, counts = history.measured(stat)
            for row in np.flatnonzero((counts[:, 0] > 0) & (steps >= history.fresh)):
                yield state(
                    self,
                    step=int(steps[row]),
                    severity=Severity.WARNING,
                    message=f"In {counts[row, 0]:.0f} place next to the loss (0 is right) a {what}.",
                    causes=causes,
                    evidence={stat: counts[row, 0]},
                )
