"""The records of all runs, and the numbers that tables and claims are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from steadytrain.core.experiment import Verdict
from steadytrain.lab.clips.plan import Scale
from steadytrain.lab.clips.series import SeriesRecord
from steadytrain.lab.clips.training import TrainingRecord
from steadytrain.lab.intervals import interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What was measured, to be asked by handler."""

    scale: Scale
    training: tuple[TrainingRecord, ...]
    series: tuple[SeriesRecord, ...]

    @classmethod
    def of(cls, records: Sequence[TrainingRecord | SeriesRecord], scale: Scale) -> Results:
        """The records of a sweep, told apart."""
        return cls(
            scale=scale,
            training=tuple(one for one in records if isinstance(one, TrainingRecord)),
            series=tuple(one for one in records if isinstance(one, SeriesRecord)),
        )

    @property
    def handlers(self) -> list[str]:
        """The handlers that trained, in their order."""
        return list(dict.fromkeys(one.job.handler for one in self.training))

    def runs(self, handler: str, fault: str) -> list[TrainingRecord]:
        """One record per seed."""
        return [
            one for one in self.training if (one.job.handler, one.job.fault) == (handler, fault)
        ]

    def rises(self, handler: str, factor: float) -> list[SeriesRecord]:
        """One record per seed of a handler whose norm rose."""
        return [
            one for one in self.series if (one.job.handler, one.job.factor) == (handler, factor)
        ]

    def healthy(self, noise: str, variation: float) -> list[SeriesRecord]:
        """One record per seed of RobustClip over a series in which nothing happens."""
        return [
            one
            for one in self.series
            if (one.job.factor, one.job.noise, one.job.variation) == (1.0, noise, variation)
        ]


def shown(values: Sequence[float]) -> str:
    """A mean with its interval; a count where values are not finite."""
    bad = sum(not math.isfinite(value) for value in values)
    return f"not finite in {bad} of {len(values)}" if bad else interval(values).text


def percent(shares: Sequence[float]) -> str:
    """The range of shares over the seeds."""
    low, high = 100 * min(shares), 100 * max(shares)
    return f"{low:.1f}%" if high - low < 0.05 else f"{low:.1f} to {high:.1f}%"


def verdict(outcomes: Sequence[bool]) -> Verdict:
    """Whether every seed says the same; a single seed shows nothing."""
    if len(outcomes) < 2 or len(set(outcomes)) > 1:
        return "not shown"
    return "holds" if outcomes[0] else "contradicted"


def per_seed(results: Results, statement: Callable[[int], bool]) -> list[bool]:
    """A statement about each seed."""
    return [statement(seed) for seed in range(results.scale.seeds)]
