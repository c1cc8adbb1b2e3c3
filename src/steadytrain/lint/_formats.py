"""Findings as text, and as the annotations that GitHub shows beside the code."""

from __future__ import annotations

from collections.abc import Iterable

from steadytrain.core.finding import Severity
from steadytrain.lint._files import Problem
from steadytrain.lint._finding import LintFinding
from steadytrain.lint._linter import Report

_LEVELS = {Severity.NOTE: "notice", Severity.WARNING: "warning", Severity.CRITICAL: "error"}


def visible(text: str) -> str:
    """`text` on one line, with what could act on a terminal shown instead."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def as_text(findings: Iterable[LintFinding]) -> list[str]:
    """One line per finding: `path:line:column: CODE [name] message`."""
    return [
        visible(f"{f.place}: {f.code} [{f.name}] {f.message}{' [fix offered]' if f.fix else ''}")
        for f in findings
    ]


def summary(report: Report) -> str:
    """How many findings there are, and of how many of them a fix is offered."""
    num, fixable = (
        len(report.findings),
        sum(f.fix is not None and f.fix.safe for f in report.findings),
    )
    files = _count(report.num_files, "file")
    if not num:
        return f"{files}: nothing found."
    offered = f" {fixable} fixable with --fix." if fixable else ""
    return f"{files}: {_count(num, 'finding')}.{offered}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def as_github(findings: Iterable[LintFinding], problems: Iterable[Problem]) -> list[str]:
    """Workflow commands of GitHub, one per finding."""
    lines = [
        f"::{_LEVELS[f.severity]} title={_property(f'steadytrain {f.code} {f.name}')},"
        f"file={_property(f.path)},line={f.line},endLine={f.end_line},col={f.column},"
        f"endColumn={f.end_column}::{_escaped(f'{f.name}: {f.message}')}"
        for f in findings
    ]
    return lines + [
        f"::error file={_property(p.path)},line={p.line or 1}::{_escaped(p.message)}"
        for p in problems
    ]


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
