"""Whether a change repairs what a check before the first step had found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from steadytrain.checks import preflight
from steadytrain.core.program import Program
from steadytrain.doctor.sandbox import sandbox

if TYPE_CHECKING:
    from steadytrain.doctor.trials import Record

LEAKS: Final = frozenset({"looks-ahead", "target-leak"})
"""Checks that find a run too good: without the leak its loss is honest and higher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What the failed checks that point to a change's cause say of the changed program."""

    asked: frozenset[str]
    passed: frozenset[str]

    @property
    def ends_a_leak(self) -> bool:
        """Whether the run before was too good to be compared with."""
        return bool(self.passed & LEAKS)


def repair_of(record: Record, asked: frozenset[str]) -> Repair | None:
    """The repair that a trial was, if there was anything to repair."""
    return Repair(asked=asked, passed=record.passed & asked) if asked else None


def passed_by(program: Program, asked: Iterable[str], seed: int) -> frozenset[str]:
    """Those of the checks that `program` passes; it is left as it is."""
    names = tuple(asked)
    if not names:
        return frozenset()
    try:
        with sandbox(program, seed):
            said = preflight(program, select=names, progress=False, seed=seed).answers
    except Exception:  # a changed program may not even be looked at: then nothing is repaired
        return frozenset()
    return frozenset(answer.check for answer in said if answer.verdict == "passed")
