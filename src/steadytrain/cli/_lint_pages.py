"""The page of a lint check as Markdown, and its document."""

from __future__ import annotations

from textwrap import dedent, indent
from typing import Any

from steadytrain.core.causes import CAUSES
from steadytrain.lint._check import LintInfo

_EXAMPLES = ("Flagged", "Use instead")
_FIXES = {
    "none": "no fix",
    "safe": "`--fix` repairs it where it can",
    "unsafe": "`--fix --unsafe-fixes` repairs it where it can",
}


def lint_page(info: LintInfo) -> str:
    """Everything a lint check says about itself."""
    facts = f"`{info.code}` · check of code · {info.severity.name.lower()} · {_FIXES[info.fix]}"
    parts = [f"# {info.name}", facts, info.summary]
    for title, text in info.sections.items():
        code = indent(dedent(text).strip("\n"), "    ")
        parts += [f"## {title}", code if title in _EXAMPLES else dedent(text)]
    causes = [f"- {name}: {CAUSES[name].meaning}" for name in info.causes if name in CAUSES]
    parts += ["## Causes it nominates", "\n".join(causes) or "No cause."]
    return "\n\n".join(parts) + "\n"


def lint_document(info: LintInfo) -> dict[str, Any]:
    """What is known about a check, as JSON's own types; its sections not included."""
    return {
        "name": info.name,
        "code": info.code,
        "severity": info.severity.name.lower(),
        "fix": info.fix,
        "summary": info.summary,
        "causes": list(info.causes),
    }
