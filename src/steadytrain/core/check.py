"""What a preflight check is: one question about a program before its first step, and the answer.

A check is a frozen dataclass of options with a `judge`, marked by `@check(...)`, alone in its
file; the file's name is the check's. `judge(scene)` looks at a copy of the program through the
scene and answers `passed`, `failed` or `not_applicable`, always with what it saw.

    @check(code="LOS201", causes=("double-softmax",), stage="outputs")
    @dataclass(frozen=True, slots=True, kw_only=True)
    class ProbabilitiesForLogits:
        def judge(self, scene: Scene, /) -> Answer:
            ...
            return passed(self, "rows sum to 0.2 .. 3.1")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Protocol, TypeVar, cast, get_args

from steadytrain.core.answer import STAGES, Answer, Stage, Verdict
from steadytrain.core.errors import UsageError
from steadytrain.core.finding import Evidence, Finding, Severity
from steadytrain.core.rule import Status, documented

SECTIONS: Final = (
    "What it does",
    "Why it matters",
    "Passes when",
    "Fails when",
    "What to do",
    "Source",
)
"""Headings that every check's documentation has, in this order."""


class Unseen(Exception):  # noqa: N818 - no error: the scene cannot show what was asked for
    """What a check asked the scene for is not there; the check does not apply, for this reason."""


class Check(Protocol):
    """The shape of a check; see the module's documentation."""

    def judge(self, scene: Any, /) -> Answer:
        """Look at the copy of the program in `scene` and answer."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckInfo:
    """What is known about a check without running it."""

    name: str
    code: str
    causes: tuple[str, ...]
    stage: Stage
    slow: bool
    """Whether it trains a copy for more than a few steps: left out by `quick`."""
    status: Status
    check: type[Any]
    summary: str
    sections: dict[str, str]

    @property
    def options(self) -> dict[str, Any]:
        """Option names and their defaults."""
        return {option.name: option.default for option in fields(self.check)}


CheckType = TypeVar("CheckType", bound=type[Any])


def check(
    *,
    code: str,
    causes: tuple[str, ...],
    stage: Stage,
    slow: bool = False,
    status: Status = "preview",
) -> Callable[[CheckType], CheckType]:
    """Mark a frozen dataclass as a check, with its documentation read from its module.

    Args:
        code: family and number from 201 on, as in `LOS201`; never reused, no rule's.
        causes: root causes its findings nominate, best first.
        stage: which of the ten steps it belongs to; a key of `STAGES`.
        slow: whether it trains a copy for more than a few steps.
        status: `preview` until its recall and false alarms over the fault lab are committed.

    Raises:
        UsageError: the module's docstring lacks a section, or there is no such stage.
    """

    def mark(cls: CheckType) -> CheckType:
        name, summary, sections = documented("check", cls, SECTIONS)
        if stage not in get_args(Stage):
            msg = f"check {name!r}: found the stage {stage!r}, expected one of"
            raise UsageError(f"{msg} {', '.join(STAGES)}.")
        info = CheckInfo(
            name=name,
            code=code,
            causes=causes,
            stage=stage,
            slow=slow,
            status=status,
            check=cls,
            summary=summary,
            sections=sections,
        )
        cast("Any", cls).__check__ = info
        return cls

    return mark


def info_of(check_object: Check | type[Any]) -> CheckInfo:
    """The `CheckInfo` of a check or its class."""
    return cast("CheckInfo", cast("Any", check_object).__check__)


def passed(
    asked: Check, seen: str, number: float | None = None, *, notes: Iterable[Finding] = ()
) -> Answer:
    """The answer that all is well; `notes` are findings below a warning."""
    return _answer(asked, "passed", seen, number, notes)


def not_applicable(asked: Check, reason: str) -> Answer:
    """The answer that the question does not arise, and why."""
    return _answer(asked, "not-applicable", reason, None, ())


def failed(
    asked: Check, seen: str, number: float | None = None, *, findings: Iterable[Finding]
) -> Answer:
    """The answer that something must be changed.

    Raises:
        UsageError: no finding is a warning or worse.
    """
    answer = _answer(asked, "failed", seen, number, findings)
    if not any(finding.severity >= Severity.WARNING for finding in answer.findings):
        msg = f"check {answer.check!r} failed without a finding at warning or above"
        raise UsageError(f"{msg}: say with finding(...) what was found, or answer passed(...).")
    return answer


def finding(
    asked: Check,
    message: str,
    *,
    severity: Severity = Severity.WARNING,
    site: str | None = None,
    causes: tuple[str, ...] = (),
    evidence: Mapping[str, object] | None = None,
    step: int = 0,
) -> Finding:
    """The finding of a check, under its name and code.

    Args:
        asked: who says it.
        message: the number, the reference number, the cause, the remedy.
        severity: how much it asks of the reader.
        site: module or parameter path, or None for the whole program.
        causes: nominated causes, best first; those of the check if empty.
        evidence: numbers, texts and flat sequences of them.
        step: the program's finished steps; the runner fills it in.
    """
    info = info_of(asked)
    return Finding(
        rule=info.name,
        code=info.code,
        severity=severity,
        step=step,
        site=site,
        message=message,
        causes=causes or info.causes,
        evidence=cast("Mapping[str, Evidence]", evidence or {}),
    )


def at_step(answer: Answer, step: int, seconds: float) -> Answer:
    """The answer with its findings at `step`, and the time it took."""
    moved = tuple(replace(one, step=step) for one in answer.findings)
    return replace(answer, findings=moved, seconds=seconds)


def _answer(
    asked: Check, verdict: Verdict, seen: str, number: float | None, findings: Iterable[Finding]
) -> Answer:
    info = info_of(asked)
    return Answer(
        check=info.name,
        code=info.code,
        stage=info.stage,
        verdict=verdict,
        seen=seen,
        number=None if number is None else float(number),
        findings=tuple(findings),
    )
