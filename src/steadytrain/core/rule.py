"""What a rule is: a documented, pure function of the history.

A rule is a frozen dataclass of options with a `check`, marked by `@rule(...)`, alone in its
file; the file's name is the rule's. `check` yields a finding for every step of the history it
is given where its statement holds, reading nothing later than that step and nothing earlier
than `lookback` steps before it (the first rows of the run, `history.head`, excepted). Steps
before `history.fresh` were judged already and need no finding. The engine hands it overlapping pieces of a run and keeps each step's findings once, so a run judged
step by step, in pieces or as a whole gives the same findings.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, Protocol, TypeVar, cast

from steadytrain.core.errors import UsageError
from steadytrain.core.examples import parse_examples
from steadytrain.core.finding import Evidence, Finding, Severity
from steadytrain.core.history import History

Status = Literal["stable", "preview"]

SECTIONS: Final = (
    "What it sees",
    "Why it matters",
    "Fires on",
    "Stays silent on",
    "What to do",
    "Source",
)
"""Headings that every rule's documentation has, in this order."""

MAX_LOOKBACK: Final = 512
"""Steps a rule may look back, so that a live run needs to keep only so many."""


class Rule(Protocol):
    """The shape of a rule; see the module's documentation."""

    @property
    def lookback(self) -> int:
        """Steps before the judged one that `check` reads."""
        ...

    def check(self, history: History, /) -> Iterator[Finding]:
        """Yield a finding for every step where the rule's statement holds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleInfo:
    """What is known about a rule without running it."""

    name: str
    code: str
    causes: tuple[str, ...]
    status: Status
    repeat_after: int
    """Steps of silence after which the rule may speak again of the same thing."""
    rule: type[Any]
    summary: str
    sections: dict[str, str]

    @property
    def options(self) -> dict[str, Any]:
        """Option names and their defaults."""
        return {option.name: option.default for option in fields(self.rule)}

    @property
    def fires_on(self) -> list[History]:
        """The documented histories on which the rule speaks."""
        return parse_examples(self.sections["Fires on"])

    @property
    def silent_on(self) -> list[History]:
        """The documented histories on which it does not."""
        return parse_examples(self.sections["Stays silent on"])


RuleType = TypeVar("RuleType", bound=type[Any])


def rule(
    *,
    code: str,
    causes: tuple[str, ...],
    status: Status = "preview",
    repeat_after: int = 200,
) -> Callable[[RuleType], RuleType]:
    """Mark a frozen dataclass as a rule, with its documentation read from its module.

    Args:
        code: family and number, as in `GRD001`; never reused.
        causes: root causes its findings nominate, best first.
        status: `preview` until its recall and false alarms over the fault lab are committed.
        repeat_after: steps of silence after which it may speak again.

    Raises:
        UsageError: the module's docstring lacks a section.
    """

    def mark(cls: RuleType) -> RuleType:
        name, summary, sections = documented("rule", cls, SECTIONS)
        info = RuleInfo(
            name=name,
            code=code,
            causes=causes,
            status=status,
            repeat_after=repeat_after,
            rule=cls,
            summary=summary,
            sections=sections,
        )
        cast("Any", cls).__rule__ = info
        return cls

    return mark


def documented(
    kind: str, marked: Callable[..., object], wanted: tuple[str, ...]
) -> tuple[str, str, dict[str, str]]:
    """The name, summary and sections that the module of a marked class or function gives it.

    Raises:
        UsageError: a section is missing or empty.
    """
    name = marked.__module__.rpartition(".")[2].replace("_", "-")
    summary, sections = read_sections(inspect.getdoc(inspect.getmodule(marked)) or "")
    missing = [title for title in wanted if not sections.get(title, "").strip()]
    if missing:
        msg = f"{kind} {name!r}: its docstring has no section {', '.join(missing)}."
        raise UsageError(f"{msg} Expected: {', '.join(wanted)}, each after '## '.")
    return name, summary, sections


def read_sections(doc: str) -> tuple[str, dict[str, str]]:
    """The first paragraph of a docstring, and the text under each of its `## ` headings."""
    head, *rest = re.split(r"^## +", doc, flags=re.MULTILINE)
    sections: dict[str, str] = {}
    for part in rest:
        title, _, body = part.partition("\n")
        sections[title.strip()] = body.strip("\n")
    return head.strip(), sections


def info_of(rule_object: Rule | type[Any]) -> RuleInfo:
    """The `RuleInfo` of a rule or its class."""
    return cast("RuleInfo", cast("Any", rule_object).__rule__)


def state(
    rule_object: Rule,
    *,
    step: int,
    severity: Severity,
    message: str,
    site: str | None = None,
    causes: tuple[str, ...] = (),
    evidence: Mapping[str, object] | None = None,
) -> Finding:
    """The finding of `rule_object`, under its name and code.

    Args:
        rule_object: who says it.
        step: where the statement holds.
        severity: how much it asks of the reader.
        message: the number, the reference number, the cause, the remedy.
        site: the place, or None for the whole run.
        causes: nominated causes, best first; those of the rule if empty.
        evidence: numbers, texts and flat sequences of them.
    """
    info = info_of(rule_object)
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
