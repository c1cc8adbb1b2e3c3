"""What is known before anything is run: the answers of the preflight, and what the source says."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steadytrain.checks import preflight
from steadytrain.core.diagnosis import Diagnosis
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.program import Program
from steadytrain.doctor.global_names import is_own
from steadytrain.lint import LintFinding, lint_source


def known_before(program: Program, seed: int) -> Diagnosis:
    """What the checks before step 0 say; a finding where they could not be asked."""
    try:
        return preflight(program, progress=False, seed=seed)
    except Exception as error:  # a check that breaks must not end the diagnosis
        msg = f"The preflight raised {type(error).__name__}: {error}. The doctor goes on without"
        note = Finding(
            rule="broken-preflight",
            code="LOP900",
            severity=Severity.NOTE,
            step=0,
            message=f"{msg} its answers; `steadytrain check` shows where it broke.",
        )
        return Diagnosis(findings=(note,))


def said_of_source(program: Program) -> list[Finding]:
    """What lint says of the lines of the program's own functions, where their file can be read."""
    found: dict[tuple[str, str, int], Finding] = {}
    for function in _own_functions(program):
        for one in _linted(function):
            found.setdefault((one.name, one.path, one.line), _finding(one))
    return list(found.values())


def _own_functions(program: Program) -> Iterator[types.FunctionType]:
    for value in (program.step_fn, program.loss_fn, program.factory):
        function: Any = getattr(value, "__func__", value)
        if isinstance(function, types.FunctionType) and is_own(function):
            yield function


def _linted(function: types.FunctionType) -> list[LintFinding]:
    """The findings within the function's lines; the whole file is read, for names it uses."""
    try:
        lines, start = inspect.getsourcelines(function)
        path = Path(inspect.getfile(function))
        said = lint_source(path.read_text(encoding="utf-8"), path.name)
    except (OSError, TypeError, ValueError, SyntaxError):  # typed in, generated, or gone
        return []
    return [one for one in said if start <= one.line < start + len(lines)]


def _finding(said: LintFinding) -> Finding:
    return Finding(
        rule=said.name,
        code=said.code,
        severity=said.severity,
        step=0,
        message=f"{said.place}: {said.message}",
        causes=said.causes,
        evidence={"path": said.path, "line": said.line},
    )
