"""`--fix`: edits on exact places of a file, everything else byte for byte as it was."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from steadytrain.core.errors import UsageError
from steadytrain.lint._check import LintInfo
from steadytrain.lint._edits import apply_edits
from steadytrain.lint._files import Problem, read_text
from steadytrain.lint._finding import Edit, LintFinding
from steadytrain.lint._linter import Linter, parse

MAX_PASSES: Final = 5
"""Passes after which what is left stays: one edit may make room for another."""


def fix_text(
    text: str, path: str, checks: list[LintInfo], *, unsafe: bool = False
) -> tuple[str, int]:
    """The text with the offered fixes made, and how many findings that removed.

    Fixing twice gives what fixing once gave; a pass whose result is not Python any more is undone.

    Args:
        text: Python source.
        path: what it is called.
        checks: the checks whose fixes are made.
        unsafe: whether fixes that change what the program computes are made too.
    """
    linter = Linter(checks)
    num_fixed = 0
    for _ in range(MAX_PASSES):
        fixes = [
            finding.fix
            for finding in linter.text(text, path)
            if finding.fix is not None and (finding.fix.safe or unsafe)
        ]
        edits: list[Edit] = []
        for fix in fixes:
            if not _overlaps(fix.edits, edits):
                edits += fix.edits
                num_fixed += 1
        changed = apply_edits(text, edits)
        if changed == text:
            break
        try:
            parse(changed)
        except SyntaxError:
            break
        text = changed
    return text, num_fixed


def _overlaps(edits: Iterable[Edit], taken: list[Edit]) -> bool:
    return any(one.start < other.end and other.start < one.end for one in edits for other in taken)


def fix_files(
    findings: Iterable[LintFinding], checks: list[LintInfo], *, unsafe: bool = False
) -> tuple[int, list[Problem]]:
    """The files of `findings` are rewritten with their fixes; how many were removed, and what failed."""
    wanted = [f for f in findings if f.fix is not None and (f.fix.safe or unsafe)]
    num_fixed, problems = 0, list[Problem]()
    for path in dict.fromkeys(finding.path for finding in wanted):
        text = read_text(Path(path))
        if isinstance(text, Problem):
            problems.append(text)
            continue
        try:
            changed, count = fix_text(text, path, checks, unsafe=unsafe)
            if changed != text:
                _write(Path(path), changed)
                num_fixed += count
        except OSError as error:
            msg = f"cannot be written ({error.strerror or error}); it is as it was."
            problems.append(Problem(path=path, message=msg))
        except UsageError as error:
            problems.append(Problem(path=path, message=str(error)))
    return num_fixed, problems


def _write(path: Path, text: str) -> None:
    """The file holds `text` in the encoding it had; it is replaced whole or not at all."""
    from steadytrain.lint._files import encoding_of

    encoding = encoding_of(path.read_bytes())
    target = path.resolve()
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode(encoding))
        os.chmod(name, target.stat().st_mode)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise
