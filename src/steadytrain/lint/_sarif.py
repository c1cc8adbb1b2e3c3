"""Findings as SARIF 2.1.0, the format that code scanning services read."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path, PurePath
from typing import Any, Final
from urllib.parse import quote

from steadytrain.core.finding import Severity
from steadytrain.lint._check import LintInfo
from steadytrain.lint._files import Problem
from steadytrain.lint._finding import LintFinding
from steadytrain.lint._linter import Report

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {Severity.NOTE: "note", Severity.WARNING: "warning", Severity.CRITICAL: "error"}


def as_sarif(report: Report, checks: Iterable[LintInfo]) -> dict[str, Any]:
    """The report as one SARIF document with one run.

    Args:
        report: what was found.
        checks: those that were asked; each becomes a rule of the document.
    """
    infos = list(checks)
    places = {info.name: place for place, info in enumerate(infos)}
    driver = {
        "name": "steadytrain",
        "version": version("steadytrain"),
        "rules": [_rule(info) for info in infos],
    }
    notes = [_notification(problem) for problem in report.problems]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "invocations": [
                    {"executionSuccessful": not notes, "toolExecutionNotifications": notes}
                ],
                "results": [_result(finding, places) for finding in report.findings],
            }
        ],
    }


def _rule(info: LintInfo) -> dict[str, Any]:
    return {
        "id": info.code,
        "name": info.name,
        "shortDescription": {"text": _line(info.summary)},
        "fullDescription": {"text": _line(info.sections["Why it matters"])},
        "help": {"text": _line(info.sections["What to do"])},
        "defaultConfiguration": {"level": _LEVELS[info.severity]},
        "properties": {"causes": list(info.causes)},
    }


def _result(finding: LintFinding, places: dict[str, int]) -> dict[str, Any]:
    region = {
        "startLine": finding.line,
        "startColumn": finding.column,
        "endLine": finding.end_line,
        "endColumn": max(finding.end_column, 1),
    }
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "level": _LEVELS[finding.severity],
        "message": {"text": finding.message},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(finding.path)},
                    "region": region,
                }
            }
        ],
        "properties": {"name": finding.name, "causes": list(finding.causes)},
    }
    if finding.name in places:
        result["ruleIndex"] = places[finding.name]
    return result


def _notification(problem: Problem) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(problem.path)}}
    if problem.line:
        place["region"] = {"startLine": problem.line}
    return {
        "level": "error",
        "message": {"text": problem.message},
        "locations": [{"physicalLocation": place}],
    }


def _uri(path: str) -> str:
    """The path as a URI: relative ones stay so, as code scanning expects."""
    pure = PurePath(path)
    return Path(path).as_uri() if pure.is_absolute() else quote(pure.as_posix())


def _line(text: str) -> str:
    return " ".join(text.split())
