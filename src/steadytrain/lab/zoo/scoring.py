"""What the watch said of faulty and healthy runs, and the figures that follow from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from steadytrain.core.finding import Severity
from steadytrain.lab.zoo.planting import known_controls, known_faults

Kind = Literal["fault", "twin", "control"]

TUNING_SEEDS: Final = 2
"""Seeds below this one may be looked at while limits are chosen; the others are only scored."""

_Z: Final = 1.959964
"""Of a 95% interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of the lab; picklable, so that it may go to another process."""

    kind: Kind
    name: str
    architecture: str
    seed: int
    data: Path | None = None

    @property
    def is_scored_only(self) -> bool:
        """Whether nobody looks at it while limits are chosen.

        The later seeds of every architecture, and every seed of the last one that a fault or a
        control names.
        """
        known = known_controls() if self.kind == "control" else known_faults()
        return self.seed >= TUNING_SEEDS or known[self.name].is_held_out(self.architecture)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A finding, as far as it is scored."""

    rule: str
    step: int
    severity: int
    site: str | None
    causes: tuple[str, ...]
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was said of one run."""

    job: Job
    steps: int
    seconds: float
    watch_seconds: float
    said: tuple[Said, ...]

    @property
    def alarms(self) -> list[Said]:
        """Findings of warning or above."""
        return [one for one in self.said if one.severity >= Severity.WARNING]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Hits among a number of trials, with Wilson's 95% interval."""

    hits: int
    total: int

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share lies; (0, 1) where nothing was tried."""
        if not self.total:
            return 0.0, 1.0
        share, squared = self.hits / self.total, _Z * _Z
        middle = share + squared / (2 * self.total)
        spread = share * (1 - share) / self.total + squared / (4 * self.total**2)
        reach = _Z * math.sqrt(spread)
        whole = 1 + squared / self.total
        return max(0.0, (middle - reach) / whole), min(1.0, (middle + reach) / whole)

    def __str__(self) -> str:
        if not self.total:
            return "-"
        low, high = self.interval
        return f"{self.hits}/{self.total} [{low:.2f}, {high:.2f}]"

    @classmethod
    def of(cls, hits: Iterable[bool]) -> Share:
        """The share of the hits that are true."""
        listed = list(hits)
        return cls(hits=sum(listed), total=len(listed))


def first_right(outcome: Outcome) -> Said | None:
    """The first alarm at or after the onset that nominates the fault's cause."""
    planted = known_faults()[outcome.job.name]
    right = {planted.cause, *planted.also}
    fitting = [
        one for one in outcome.alarms if one.step >= planted.onset and right & set(one.causes)
    ]
    return min(fitting, key=lambda one: one.step, default=None)


def delay(outcome: Outcome) -> float:
    """Steps from the onset to the first right alarm; NaN without one."""
    found = first_right(outcome)
    return math.nan if found is None else found.step - known_faults()[outcome.job.name].onset


def is_first_cause_right(outcome: Outcome, among: int = 1) -> bool:
    """Whether the right cause is among the first that the findings put forward."""
    from steadytrain.core.ranking import rank

    planted = known_faults()[outcome.job.name]
    ranked = [name for name, _ in rank(outcome.alarms)][:among]
    return bool({planted.cause, *planted.also} & set(ranked))


def is_site_right(outcome: Outcome, places: Sequence[str]) -> bool:
    """Whether the first alarm with a site names one of the fault's places, or a part of one."""
    sited = [one for one in outcome.alarms if one.site is not None]
    first = min(sited, key=lambda one: one.step, default=None)
    if first is None or first.site is None:
        return False
    return any(
        first.site == place
        or first.site.startswith(f"{place}.")
        or place.startswith(f"{first.site}.")
        for place in places
    )


def alarms_per_thousand(outcomes: Sequence[Outcome], least: Severity) -> float:
    """Alarms of at least that severity per 1,000 steps of healthy runs; NaN without a step."""
    steps = sum(one.steps for one in outcomes)
    alarms = sum(said.severity >= least for one in outcomes for said in one.said)
    return 1000 * alarms / steps if steps else math.nan
