"""Which causes the findings of a run speak for, best first, before any trial was made.

A finding nominates causes in order. Most findings describe a symptom that has many causes; the
earliest of these counts most, because what comes after it may be its consequence. A finding that
nominates one cause or two has seen the thing itself (a decay, a dropout, a gradient that was not
cleared): it counts more, whenever it came. The order within a finding counts, and so does its
severity. Findings that nominate one cause add up; several that say the same of one step, as those on a
value that is not finite and passes from module to loss to gradient, count once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol


class Nomination(Protocol):
    """What is read of a finding."""

    @property
    def step(self) -> int: ...

    @property
    def severity(self) -> int: ...

    @property
    def causes(self) -> Sequence[str]: ...


LATER: Final = 0.6
"""What a symptom weighs of the one before it in time; those of one step weigh the same."""

LATEST: Final = 0.1
"""What a symptom weighs at least, however many came before it."""

LOWER: Final = 0.5
"""What a nomination weighs of the one before it in the same finding."""

SPECIFIC: Final = 2
"""Causes up to which a finding has seen the thing itself."""

DIRECT: Final = 4.0
"""What such a finding weighs of a symptom. As the three weights above chosen on the first seed of
every fault of the lab, on its first architecture; the order of causes changes little around it."""


def rank(findings: Iterable[Nomination]) -> list[tuple[str, float]]:
    """Causes with their share of all the weight, best first; ties in order of appearance.

    Example:
        >>> from steadytrain.core.finding import Finding, Severity
        >>> early = Finding(rule="a", code="A1", severity=Severity.WARNING, step=3, message="m",
        ...                 causes=("lr-too-high", "missing-warmup", "init-too-large"))
        >>> exact = Finding(rule="b", code="B1", severity=Severity.WARNING, step=9, message="m",
        ...                 causes=("momentum-too-high",))
        >>> [cause for cause, _ in rank([early, exact])]
        ['momentum-too-high', 'lr-too-high', 'missing-warmup', 'init-too-large']
    """
    listed = _once(sorted(findings, key=lambda one: one.step))
    weights: dict[str, float] = {}
    age, last = 1.0, None
    for one in listed:
        if last is not None and one.step > last:
            age = max(age * LATER, LATEST)
        last = one.step
        own = DIRECT if len(one.causes) <= SPECIFIC else age
        for place, cause in enumerate(one.causes):
            weight = own * (1 + int(one.severity)) * LOWER**place
            weights[cause] = weights.get(cause, 0.0) + weight
    total = sum(weights.values())
    ranked = sorted(weights.items(), key=lambda item: -item[1])
    return [(cause, round(weight / total, 6)) for cause, weight in ranked]


def _once(listed: Sequence[Nomination]) -> list[Nomination]:
    """Of the findings on one step that nominate the same causes, the gravest."""
    kept: dict[tuple[int, tuple[str, ...]], Nomination] = {}
    for one in listed:
        key = one.step, tuple(one.causes)
        if key not in kept or one.severity > kept[key].severity:
            kept[key] = one
    return list(kept.values())
