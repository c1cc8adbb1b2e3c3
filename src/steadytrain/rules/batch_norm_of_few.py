"""Batch normalisation takes its statistics from a handful of numbers.

## What it sees
The number of values per channel that a batch normalisation in training mode averages over (samples
times positions) is below eight, at several looks in a row. The short last batch of an epoch is one
look and no finding.

## Why it matters
Of two samples one is always +1 and the other -1: what the layer passes on is noise of the batch,
and evaluation, with running statistics, computes another function.

## Fires on
    norm_samples@a 7x3

## Stays silent on
    norm_samples@a 8x3

    norm_samples@a 64x2 2 64x2

## What to do
Use group or layer normalisation, a larger batch, or synchronised statistics over the ranks.

## Source
Wu and He 2018 (Group Normalization), figure 1: the error grows from batches of 16 downwards, and
steeply at 4 and 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import rule, state
from steadytrain.rules._extent import extent, named, number
from steadytrain.rules._looks import REACH, Look, lasting


@rule(code="INI001", causes=("batchnorm-small-batch", "wrong-axis"), repeat_after=1000)
@dataclass(frozen=True, slots=True, kw_only=True)
class BatchNormOfFew:
    """Options of the rule."""

    min_samples: int = 8
    """Values per channel that statistics must be taken of."""

    def __post_init__(self) -> None:
        if not self.min_samples >= 2:
            msg = (
                f"min_samples must be at least 2, got {self.min_samples}: one value has no spread."
            )
            raise ValueError(f"{msg} Try 8.")

    @property
    def lookback(self) -> int:
        return REACH

    def check(self, history: History, /) -> Iterator[Finding]:
        for look in lasting(history, "norm_samples", 3, lambda rows: rows < self.min_samples):
            yield self._finding(history, look)

    def _finding(self, history: History, look: Look) -> Finding:
        names = history.sites("norm_samples")
        count = look.values[look.first]
        return state(
            self,
            step=look.step,
            severity=Severity.WARNING,
            site=names[look.first],
            message=f"Batch normalisation at {names[look.first]} takes its statistics from {number(count)} values "
            f"per channel ({extent(look.hit, look.measured, 'batch norms')} below {self.min_samples}). Use "
            "group or layer normalisation, or a larger batch.",
            evidence={"samples": count, "modules": named(names, look.hit)},
        )
