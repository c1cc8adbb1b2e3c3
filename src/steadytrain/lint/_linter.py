"""From source text to findings: every check over every file, and nothing that is run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from functools import cache
from os import PathLike
from pathlib import Path
from typing import Any, Final, cast

from steadytrain.core.discovery import Broken, marked
from steadytrain.core.errors import UnknownNameError
from steadytrain.core.finding import Severity
from steadytrain.lint._check import LintInfo, Remark
from steadytrain.lint._code.code import Code
from steadytrain.lint._files import Problem, find_files, read_text
from steadytrain.lint._finding import LintFinding
from steadytrain.lint._ignoring import Ignores, ignores_in
from steadytrain.lint._notebook import Notebook, read_notebook

GROUP: Final = "steadytrain.lint"

BROKEN_CHECK: Final = "broken-check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found in some files, and what could not be read."""

    findings: list[LintFinding]
    problems: list[Problem]
    num_files: int

    def to_json(self) -> dict[str, Any]:
        """The report as JSON's own types."""
        return {
            "findings": [finding.to_json() for finding in self.findings],
            "problems": [problem.to_json() for problem in self.problems],
            "num_files": self.num_files,
        }


@cache
def _found() -> tuple[dict[str, object], list[Broken]]:
    return marked(GROUP, GROUP, "__lint__")


def known_checks() -> dict[str, LintInfo]:
    """Every check in the folder and from entry points, by name."""
    return {
        name: cast("LintInfo", cast("Any", check).__lint__)
        for name, check in sorted(_found()[0].items())
    }


def broken_checks() -> list[Broken]:
    """Checks of other packages that could not be loaded."""
    return list(_found()[1])


def choose_checks(
    select: Iterable[str] | None = None, ignore: Iterable[str] = ()
) -> list[LintInfo]:
    """The chosen checks, in order of name.

    Args:
        select: names, codes or families (`LOP`); every check if None.
        ignore: names, codes or families to leave out.

    Raises:
        UnknownNameError: no check has that name, code or family.
    """
    infos = known_checks()
    chosen = set(infos) if select is None else _names(select, infos)
    return [infos[name] for name in sorted(chosen - _names(ignore, infos))]


def _names(wanted: Iterable[str], infos: Mapping[str, LintInfo]) -> set[str]:
    names: set[str] = set()
    for word in wanted:
        match = {n for n, i in infos.items() if word in (n, i.code, i.code.rstrip("0123456789"))}
        if not match:
            raise UnknownNameError.build("lint check", word, infos)
        names |= match
    return names


def lint_source(
    text: str,
    path: str = "<string>",
    *,
    select: Iterable[str] | None = None,
    ignore: Iterable[str] = (),
) -> list[LintFinding]:
    r"""What the checks say of a program's text, in the order of the text; nothing is run.

    Args:
        text: Python source, or a notebook's JSON where `path` ends in `.ipynb`.
        path: what findings call the file.
        select: names, codes or families of the checks; every check if None.
        ignore: names, codes or families to leave out.

    Raises:
        SyntaxError: the text is not Python; ValueError where it is not a notebook.
        UnknownNameError: no check has that name, code or family.

    Example:
        >>> text = "from torch import optim\noptimizer = optim.Adam(model.parameters)\n"
        >>> [(finding.name, finding.line) for finding in lint_source(text)]
        [('uncalled-method', 2)]
    """
    return Linter(choose_checks(select, ignore)).text(text, path)


def lint_paths(
    paths: Iterable[str | PathLike[str]],
    *,
    select: Iterable[str] | None = None,
    ignore: Iterable[str] = (),
    exclude: Sequence[str] = (),
    per_file_ignores: Mapping[str, Sequence[str]] | None = None,
) -> Report:
    """What the checks say of files and of every Python file in folders.

    A file that cannot be read or parsed is among `problems`; the others are linted.

    Args:
        paths: files, or folders that are searched; hidden ones, environments, builds and
            `node_modules` in them are passed over.
        select: names, codes or families of the checks; every check if None.
        ignore: names, codes or families to leave out.
        exclude: patterns of paths in folders to pass over, as in `third_party/*`.
        per_file_ignores: names, codes or families to leave out in files, by a pattern of their path
            (`examples/*`) or of their name (`test_*.py`).

    Raises:
        UnknownNameError: no check has that name, code or family.
    """
    lint = Linter(choose_checks(select, ignore))
    passed_over = {
        pattern: _names(names, known_checks())
        for pattern, names in (per_file_ignores or {}).items()
    }
    files, problems = find_files([Path(path) for path in paths], exclude)
    findings: list[LintFinding] = []
    for file in files:
        text = read_text(file)
        if isinstance(text, Problem):
            problems.append(text)
            continue
        try:
            ignored = ignored_in(file, passed_over)
            findings += [one for one in lint.text(text, str(file)) if one.name not in ignored]
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            problems.append(Problem.of_parsing(file, error))
    return Report(findings=findings, problems=problems, num_files=len(files))


def ignored_in(file: Path, patterns: Mapping[str, set[str]]) -> set[str]:
    """The checks that are left out in a file: of every pattern that fits its path or its name."""
    place = file.as_posix().removeprefix("./")
    return {
        name
        for pattern, names in patterns.items()
        if fnmatch(place, pattern) or fnmatch(place, f"*/{pattern}") or fnmatch(file.name, pattern)
        for name in names
    }


@dataclass(frozen=True, slots=True)
class Linter:
    """The chosen checks over texts."""

    infos: list[LintInfo]
    muted: set[str] = field(default_factory=set[str])

    def text(self, text: str, path: str) -> list[LintFinding]:
        """What the checks say of a program or notebook, in the order of the text.

        Raises:
            SyntaxError: it is not Python.
            ValueError: it is not a notebook.
        """
        if not path.endswith(".ipynb"):
            return self._python(text, path)
        notebook = read_notebook(text)
        try:
            return [_in_cell(finding, notebook) for finding in self._python(notebook.text, path)]
        except SyntaxError as error:
            cell, line = notebook.place(error.lineno or 1)
            raise SyntaxError(f"code cell {cell}: {error.msg}", (path, line, 0, "")) from None

    def _python(self, text: str, path: str) -> list[LintFinding]:
        code = Code(text, parse(text))
        ignores = ignores_in(text)
        lines = text.splitlines(keepends=True)
        found = [
            _finding(info, remark, path, lines)
            for info in self.infos
            for remark in self._ask(info, code)
        ]
        kept = {(f.line, f.column, f.name): f for f in reversed(found) if not _silenced(f, ignores)}
        return [kept[key] for key in sorted(kept)]

    def _ask(self, info: LintInfo, code: Code) -> list[Remark]:
        try:
            return list(info.check(code))
        except RecursionError:
            raise
        except Exception as error:  # the one boundary: a check must not end the others
            msg = (
                f"The check {info.name!r} raised {type(error).__name__}: {error}. Please report it;"
            )
            remark = Remark(
                node=code.tree, message=f"{msg} the other checks went on.", severity=Severity.NOTE
            )
            return [remark]


def parse(text: str) -> ast.Module:
    """The tree of `text`; what the parser only warns of is not this linter's matter.

    Raises:
        SyntaxError: the text is not Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except ValueError as error:  # a null byte
            raise SyntaxError(str(error)) from None


def _silenced(finding: LintFinding, ignores: Ignores) -> bool:
    return any(
        ignores.covers(line, finding.name, finding.code)
        for line in {finding.line, finding.end_line}
    )


def _finding(info: LintInfo, remark: Remark, path: str, lines: list[str]) -> LintFinding:
    node = remark.node
    line, end = getattr(node, "lineno", 1), getattr(node, "end_lineno", 1) or 1
    return LintFinding(
        name=info.name,
        code=info.code,
        severity=info.severity if remark.severity is None else remark.severity,
        path=path,
        line=line,
        column=_column(lines, line, getattr(node, "col_offset", 0)),
        end_line=end,
        end_column=_column(lines, end, getattr(node, "end_col_offset", 0) or 0),
        message=remark.message,
        causes=remark.causes or info.causes,
        fix=remark.fix,
    )


def _in_cell(finding: LintFinding, notebook: Notebook) -> LintFinding:
    """The finding with its lines counted in its cell; a notebook's text is not edited."""
    cell, line = notebook.place(finding.line)
    end = notebook.place(finding.end_line)[1]
    return replace(finding, cell=cell, line=line, end_line=end, fix=None)


def _column(lines: list[str], line: int, offset: int) -> int:
    """The column from 1, in characters; the parser counts bytes of UTF-8."""
    text = lines[line - 1] if line <= len(lines) else ""
    return (
        len(text.encode()[:offset].decode(errors="ignore")) + 1
        if not text.isascii()
        else offset + 1
    )
