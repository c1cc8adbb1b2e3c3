"""What a run says of its own health, as numbers without a scale.

Everything is a ratio: a loss in nats, in squared metres or of another sign reads the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from steadytrain.core.finding import Finding, Severity
from steadytrain.doctor.observing import Observation

ENDS: Final = 0.15
"""Share of the steps at each end over which the loss is averaged; at least 3 steps."""

SOLVED: Final = 0.01
"""Share of the first loss below which nothing is left of it."""

SURE: Final = 3.0
"""Standard errors beyond which a difference is no accident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A run, or its first steps, in numbers."""

    steps: int
    is_finite: bool
    """No error, and a finite loss to the end."""
    alarms: frozenset[str]
    """Rules that spoke at warning or above."""
    is_only_uneven: bool
    """Whether all alarms are warnings about the course of the loss, which may be chance."""
    first_alarm: int
    """Step of the first of them, or `steps` if there is none."""
    head: float
    """The loss before any step."""
    tail: float
    """Median loss of the last ones."""
    error: float
    """Noise of the loss of one step."""
    early: float = math.nan
    """Mean loss of the first steps."""
    held: float = math.nan
    """Mean original loss on the held microbatches after the run."""
    metric: float = math.nan

    @property
    def learned(self) -> bool:
        """Whether the loss fell by more than its noise explains, or to next to nothing.

        What is solved in its first step shows as noise of the first ones.
        """
        begin = min(self.head, self.early)
        is_solved = 0 <= self.tail < SOLVED * self.head
        return self.is_finite and (is_solved or begin - self.tail > SURE * self.error)

    @property
    def progress(self) -> float:
        """The fall of the loss over its first level, at most 1; NaN where it was never finite."""
        scale = max(abs(self.head), abs(self.tail), 1e-30)
        return float(np.clip((self.head - self.tail) / scale, -1.0, 1.0))


def read(observation: Observation, steps: int | None = None) -> Reading:
    """The numbers of a run, or of its first `steps`."""
    wanted = observation.asked if steps is None else min(steps, observation.asked)
    losses = np.asarray(observation.losses[:wanted], dtype=np.float64)
    alarms = alarms_of(observation.findings, wanted)
    is_long = len(losses) == wanted or observation.cut
    complete = is_long and not (observation.error and wanted == observation.asked)
    is_whole = wanted == observation.asked
    head, early, tail, error = _ends(losses)
    return Reading(
        steps=wanted,
        is_finite=complete and bool(np.isfinite(_last(losses)).all()),
        alarms=frozenset(finding.rule for finding in alarms),
        is_only_uneven=bool(alarms) and all(map(_is_uneven, alarms)),
        first_alarm=min((finding.step for finding in alarms), default=wanted),
        head=head,
        early=early,
        tail=tail,
        error=error,
        held=_mean(observation.held) if is_whole else math.nan,
        metric=observation.metric if is_whole else math.nan,
    )


def alarms_of(findings: Sequence[Finding], steps: int) -> list[Finding]:
    """The findings of warning or above before `steps`."""
    return [f for f in findings if f.severity >= Severity.WARNING and f.step < steps]


def _is_uneven(finding: Finding) -> bool:
    return finding.code.startswith("DYN") and finding.severity < Severity.CRITICAL


def difference(mine: Observation, others: Observation, steps: int) -> tuple[float, float]:
    """By how much the last losses of `mine` lie below those of `others`, and its standard error.

    Both played the same microbatches in the same order, so that steps are compared in pairs; where
    one was cut at an alarm, the steps until then.
    """
    until = min((len(one.losses) for one in (mine, others) if one.cut), default=steps)
    own = np.asarray(mine.losses[:steps][:until], dtype=np.float64)
    theirs = np.asarray(others.losses[:steps][:until], dtype=np.float64)
    if len(own) != len(theirs) or not len(own):
        return math.nan, math.nan
    gaps = _last(theirs) - _last(own)
    return float(np.median(gaps)), _standard_error(gaps)


def _ends(losses: NDArray[np.float64]) -> tuple[float, float, float, float]:
    if not len(losses):
        return math.nan, math.nan, math.nan, math.nan
    last = _last(losses)
    with np.errstate(all="ignore"):
        early = losses[: len(last)]
        noise = max(_standard_error(early), _standard_error(last))
        return float(losses[0]), float(early.mean()), float(np.median(last)), noise


def _last(losses: NDArray[np.float64]) -> NDArray[np.float64]:
    return losses[-max(3, round(ENDS * len(losses))) :]


def _standard_error(values: NDArray[np.float64]) -> float:
    """Of the mean, from the differences of neighbours: a trend is no noise."""
    if len(values) < 3:
        return math.nan
    with np.errstate(all="ignore"):
        return float(np.diff(values).std() / math.sqrt(2 * len(values)))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else math.nan
