"""From findings to suspects: which causes are nominated, how strongly, and which changes try them.

Every finding gives each cause it points to a weight: its place in the finding's own list, which
knows the numbers, and what the cause's file says of the finding's rule, which knows the others. A
finding counts less than one before it in time, because it may be its consequence, and more the
louder it speaks. Weights of one cause add up as independent chances do: 1 - (1 - a)(1 - b).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from steadytrain.core.causes import CAUSES
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.ranking import LATER, LOWER
from steadytrain.core.root_cause import RootCause, known_root_causes
from steadytrain.doctor.change import known_changes
from steadytrain.engine import known_rules

LOUDNESS: Final = {Severity.NOTE: 0.25, Severity.WARNING: 0.7, Severity.CRITICAL: 0.8}
"""The chance that the first cause of a finding is right, by the finding's severity."""

OLDEST: Final = 0.25
"""The least that a late finding counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A cause that something points to."""

    name: str
    weight: float
    """0 to 1."""
    findings: tuple[Finding, ...] = ()

    @property
    def cause(self) -> RootCause | None:
        """Its file, if it has one."""
        return known_root_causes().get(self.name)

    @property
    def proofs(self) -> tuple[str, ...]:
        """Names of the known changes that would prove it."""
        known = known_changes()
        return tuple(name for name in (self.cause.proofs if self.cause else ()) if name in known)


def suspects(findings: Iterable[Finding]) -> list[Suspect]:
    """The nominated causes, the strongest first; equal ones in order of the vocabulary."""
    listed = sorted(findings, key=lambda one: one.step)
    ages = _ages(listed)
    found: dict[str, tuple[float, list[Finding]]] = {}
    for finding, age in zip(listed, ages, strict=True):
        for name, weight in _pointed_to(finding).items():
            chance = weight * age * LOUDNESS[finding.severity]
            before, reasons = found.get(name, (0.0, []))
            found[name] = (1 - (1 - before) * (1 - chance), [*reasons, finding])
    places = {name: place for place, name in enumerate(CAUSES)}
    is_born = starts_nonfinite(listed)
    made = [
        Suspect(name=n, weight=_of_operations(n, w) if is_born else w, findings=tuple(f))
        for n, (w, f) in found.items()
    ]
    return sorted(made, key=lambda one: (-one.weight, places.get(one.name, len(places))))


def starts_nonfinite(findings: Iterable[Finding]) -> bool:
    """Whether the first alarm of training is a value that is not finite, out of a quiet run.

    Then an operation bore it, and a lower rate only avoids the place.
    """
    seen = known_rules()  # the preflight and lint speak of no step
    loud = [one for one in findings if one.severity >= Severity.WARNING and one.rule in seen]
    first = min((one.step for one in loud), default=0)
    return bool(loud) and all(one.rule.startswith("nonfinite") for one in loud if one.step == first)


def _of_operations(name: str, weight: float) -> float:
    """The weight of a cause; halfway to certainty for one of numerical operations."""
    known = CAUSES.get(name)
    return (1 + weight) / 2 if known and known.family == "NUM" else weight


def _ages(findings: Sequence[Finding]) -> list[float]:
    ages: list[float] = []
    age, last = 1.0, findings[0].step if findings else 0
    for finding in findings:
        if finding.step > last:
            age, last = max(OLDEST, age * LATER), finding.step
        ages.append(age)
    return ages


def _pointed_to(finding: Finding) -> Mapping[str, float]:
    """The causes of one finding and their weights, 0 to 1."""
    weights = {name: LOWER**place for place, name in enumerate(finding.causes) if name != "healthy"}
    for name, cause in known_root_causes().items():
        exact = cause.nominations.get(finding.rule)
        if exact is None:
            continue
        # what a finding itself leaves out, on the numbers it saw, counts half of what may be
        weights[name] = math.sqrt(exact * weights[name]) if name in weights else exact / 2
    return weights


def changes_to_try(ranked: Sequence[Suspect]) -> list[str]:
    """Names of changes in the order to try them: what likely proves a strong suspect first.

    Each further proof of a suspect counts as much less than the one before it as a further cause
    of a finding does.
    """
    chances: dict[str, float] = {}
    for one in ranked:
        for turn, name in enumerate(one.proofs):
            chances[name] = max(chances.get(name, 0.0), one.weight * LOWER**turn)
    return sorted(chances, key=lambda name: -chances[name])
