"""What a lint check is: a documented function over the code of one file.

A check is a function `check(code)` marked by `@lint_check(...)`, alone in its file; the file's
name is the check's. It yields a `Remark` for every place where its statement holds. It sees the
code only as text that was parsed: nothing is imported or run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from steadytrain.core.finding import Severity
from steadytrain.core.rule import documented

if TYPE_CHECKING:
    from steadytrain.lint._code.code import Code
    from steadytrain.lint._finding import Fix

SECTIONS: Final = (
    "What it sees",
    "Why it matters",
    "Flagged",
    "Use instead",
    "What to do",
    "Source",
)
"""Headings that every check's documentation has, in this order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What a check says of a node; where it stands is read from the node."""

    node: ast.AST
    message: str
    severity: Severity | None = None
    """That of the check if None."""
    causes: tuple[str, ...] = ()
    """Those of the check if empty."""
    fix: Fix | None = None


Check = Callable[["Code"], Iterator[Remark]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LintInfo:
    """What is known about a check without running it."""

    name: str
    code: str
    severity: Severity
    causes: tuple[str, ...]
    fix: str
    """Whether a fix is offered: `none`, `safe` or `unsafe`."""
    check: Check
    summary: str
    sections: dict[str, str]

    @property
    def flagged(self) -> str:
        """The documented code on which the check speaks."""
        return dedent(self.sections["Flagged"]).strip("\n") + "\n"

    @property
    def instead(self) -> str:
        """The documented code on which it is silent."""
        return dedent(self.sections["Use instead"]).strip("\n") + "\n"


CheckType = TypeVar("CheckType", bound=Callable[..., Iterator[Remark]])


def lint_check(
    *,
    code: str,
    causes: tuple[str, ...],
    severity: Severity = Severity.WARNING,
    fix: str = "none",
) -> Callable[[CheckType], CheckType]:
    """Mark a function as a lint check, with its documentation read from its module.

    Args:
        code: family and number from 101 on, as in `LOP101`; never reused.
        causes: root causes it nominates, best first.
        severity: how much it asks of the reader.
        fix: whether it offers one: `none`, `safe` or `unsafe`.

    Raises:
        UsageError: the module's docstring lacks a section.
    """

    def mark(check: CheckType) -> CheckType:
        name, summary, sections = documented("lint check", check, SECTIONS)
        info = LintInfo(
            name=name,
            code=code,
            severity=severity,
            causes=causes,
            fix=fix,
            check=check,
            summary=summary,
            sections=sections,
        )
        cast("Any", check).__lint__ = info
        return check

    return mark
