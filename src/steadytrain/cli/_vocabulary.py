"""Every name that `steadytrain explain` knows, with its page and its document."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from steadytrain.cli._check_pages import check_document, check_names, check_page, find_check
from steadytrain.cli._lint_pages import lint_document, lint_page
from steadytrain.cli._pages import cause_page, rule_page, stat_page, technique_page
from steadytrain.core.causes import CAUSES, CauseName
from steadytrain.core.errors import UnknownNameError
from steadytrain.core.root_cause import known_root_causes
from steadytrain.core.rule import RuleInfo
from steadytrain.core.stats import STATS, Stat
from steadytrain.core.technique import Technique, find_technique, technique_files
from steadytrain.engine import known_rules
from steadytrain.lint._check import LintInfo
from steadytrain.lint._linter import known_checks as known_lint_checks

Entry = tuple[dict[str, Any], str]
"""What is known of a name: a JSON document, and a page of Markdown."""


def look_up(name: str) -> list[Entry]:
    """What is known of the rule, check, cause, statistic and technique of that name or code.

    A rule and the cause it nominates may share a name: both are meant then.

    Raises:
        UnknownNameError: nothing is called so.
    """
    vocabularies = (_rules(), _lint_checks(), _causes(), _statistics())
    spellings = {name, name.lower(), name.upper(), name.replace("_", "-"), name.replace("-", "_")}
    found = [words[spelling]() for words in vocabularies for spelling in spellings & words.keys()]
    technique = find_technique(name)
    if technique is not None:
        found.append(_technique_entry(technique))
    preflight = find_check(name)
    if preflight is not None:
        found.append((check_document(preflight), check_page(preflight)))
    if not found:
        known = {word for words in vocabularies for word in words} | technique_files().keys()
        known |= check_names()
        raise UnknownNameError.build("rule, check, cause, statistic or technique", name, known)
    return found


def rule_document(info: RuleInfo) -> dict[str, Any]:
    """What is known about a rule, as JSON's own types; its sections not included."""
    return {
        "name": info.name,
        "code": info.code,
        "status": info.status,
        "summary": info.summary,
        "causes": list(info.causes),
        "options": info.options,
    }


def _rules() -> dict[str, Callable[[], Entry]]:
    entries: dict[str, Callable[[], Entry]] = {}
    for info in known_rules().values():
        entries[info.name] = entries[info.code] = partial(_rule_entry, info)
    return entries


def _causes() -> dict[str, Callable[[], Entry]]:
    entries: dict[str, Callable[[], Entry]] = {}
    for cause in CAUSES.values():
        entries[cause.name] = entries[cause.code] = partial(_cause_entry, cause)
    return entries


def _lint_checks() -> dict[str, Callable[[], Entry]]:
    entries: dict[str, Callable[[], Entry]] = {}
    for info in known_lint_checks().values():
        entries[info.name] = entries[info.code] = partial(_lint_entry, info)
    return entries


def _lint_entry(info: LintInfo) -> Entry:
    return {"kind": "lint", **lint_document(info), "sections": info.sections}, lint_page(info)


def _statistics() -> dict[str, Callable[[], Entry]]:
    return {stat.name: partial(_stat_entry, stat) for stat in STATS.values()}


def _rule_entry(info: RuleInfo) -> Entry:
    document = {"kind": "rule", **rule_document(info), "sections": info.sections}
    return document, rule_page(info)


def _cause_entry(cause: CauseName) -> Entry:
    document = {"kind": "cause", **asdict(cause), **_said(cause.name)}
    return document, cause_page(cause, known_rules().values())


def _said(name: str) -> dict[str, Any]:
    """What the file of a cause says, as JSON's own types."""
    file = known_root_causes().get(name)
    if file is None:
        return {}
    return {
        "fix": file.fix.replace("{site}", "the model"),
        "proofs": list(file.proofs),
        "refutations": list(file.refutations),
        "unprovable": file.unprovable,
        "nominations": dict(file.nominations),
        "sections": dict(file.sections),
    }


def _stat_entry(stat: Stat) -> Entry:
    return {"kind": "statistic", **asdict(stat)}, stat_page(stat)


def _technique_entry(one: Technique) -> Entry:
    document = {
        "kind": "technique",
        "name": one.name,
        "package": one.room,
        "exports": list(one.exports),
        "summary": one.summary,
        "causes": list(one.causes),
        "sections": one.sections,
    }
    return document, technique_page(one)
