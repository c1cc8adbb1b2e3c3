"""Edits on exact places of the source, everything else as it is."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from steadytrain.lint._code.code import Code
from steadytrain.lint._finding import Edit, Fix


def replaced(code: Code, node: ast.AST, text: str, message: str, *, safe: bool) -> Fix:
    """The fix that puts `text` in place of `node`."""
    start, end = span(code, node)
    return Fix(message=message, edits=(Edit(start=start, end=end, text=text),), safe=safe)


def span(code: Code, node: ast.AST) -> tuple[int, int]:
    """Where `node` begins and ends, in characters from the start of the file."""
    start = offset(code, getattr(node, "lineno", 1), getattr(node, "col_offset", 0))
    end = offset(code, getattr(node, "end_lineno", 1), getattr(node, "end_col_offset", 0))
    return start, end


def offset(code: Code, line: int, column: int) -> int:
    """The place of a line and column of the parser, which counts bytes, in characters."""
    starts = _line_starts(code)
    start = starts[line - 1]
    end = starts[line] if line < len(starts) else len(code.text)
    return start + len(code.text[start:end].encode()[:column].decode(errors="ignore"))


def _line_starts(code: Code) -> list[int]:
    known = code.__dict__.get("_line_starts")
    if known is None:
        known = [0]
        at = 0
        # The parser ends lines at \n, \r\n and \r only; a form feed or others do not count.
        for line in code.text.replace("\r\n", " \n").replace("\r", "\n").split("\n")[:-1]:
            at += len(line) + 1
            known.append(at)
        code.__dict__["_line_starts"] = known
    return known


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """`text` with the edits made; one that overlaps an earlier is left out."""
    made: list[str] = []
    at = 0
    for edit in sorted(set(edits), key=lambda one: (one.start, one.end, one.text)):
        if edit.start < at:
            continue
        made += [text[at : edit.start], edit.text]
        at = edit.end
    return "".join([*made, text[at:]])
