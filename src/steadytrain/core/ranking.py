"""Which causes the findings of a run speak for, best first, before any trial was made.

A finding nominates causes in order. The earliest finding counts most, because what comes after
it may be its consequence; the order within a finding counts, and so does its severity. Two
findings that nominate one cause add up.
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


LATER: Final = 0.5
"""What a finding weighs of the one before it in time; those of one step weigh the same."""

LOWER: Final = 0.6
"""What a nomination weighs of the one before it in the same finding."""


def rank(findings: Iterable[Nomination]) -> list[tuple[str, float]]:
    """Causes with their share of all the weight, best first; ties in order of appearance.

    Example:
        >>> from steadytrain.core.finding import Finding, Severity
        >>> early = Finding(rule="a", code="A1", severity=Severity.WARNING, step=3, message="m",
        ...                 causes=("lr-too-high", "missing-warmup"))
        >>> rank([early])
        [('lr-too-high', 0.625), ('missing-warmup', 0.375)]
    """
    listed = sorted(findings, key=lambda one: one.step)
    weights: dict[str, float] = {}
    age, last = 1.0, None
    for one in listed:
        if last is not None and one.step > last:
            age *= LATER
        last = one.step
        for place, cause in enumerate(one.causes):
            weight = age * (1 + int(one.severity)) * LOWER**place
            weights[cause] = weights.get(cause, 0.0) + weight
    total = sum(weights.values())
    ranked = sorted(weights.items(), key=lambda item: -item[1])
    return [(cause, round(weight / total, 6)) for cause, weight in ranked]
