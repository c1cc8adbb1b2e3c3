"""The code cells of a notebook as one program, without the lines that only a notebook knows."""

from __future__ import annotations

import bisect
import json
import re
from dataclasses import dataclass, field
from typing import Any, cast

_MAGIC = re.compile(r"^(\s*)([%!?].*|[\w.]+\?{1,2}\s*)$")
_ASSIGNED = re.compile(r"^(\s*[\w, ]+=\s*)[%!].*$")


@dataclass(frozen=True, slots=True)
class Notebook:
    """The text of all code cells, one after the other, and where each begins."""

    text: str
    starts: list[int] = field(default_factory=list[int])
    """The line of `text`, from 1, at which each code cell begins."""

    def place(self, line: int) -> tuple[int, int]:
        """The code cell, from 1, that holds `line` of the text, and the line within it."""
        cell = max(bisect.bisect_right(self.starts, line), 1)
        return cell, line - (self.starts[cell - 1] if self.starts else 1) + 1


def read_notebook(text: str) -> Notebook:
    """The code of a notebook; magics are blanked out, so that lines keep their numbers.

    Raises:
        ValueError: the text is not a notebook.
    """
    try:
        document = cast("Any", json.loads(text))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    cells = document.get("cells") if isinstance(document, dict) else None
    if not isinstance(cells, list):
        raise ValueError("it has no list of cells")
    lines: list[str] = []
    starts: list[int] = []
    for cell in cast("list[Any]", cells):
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            source = cell.get("source", "")
            whole = "".join(source) if isinstance(source, list) else str(source)
            starts.append(len(lines) + 1)
            lines += _without_magics(whole)
    return Notebook("\n".join(lines) + "\n", starts)


def _without_magics(text: str) -> list[str]:
    lines = text.split("\n")
    if text.lstrip().startswith("%%"):
        return [""] * len(lines)
    lines = [_ASSIGNED.sub(r"\1None", line) for line in lines]
    return [_MAGIC.sub(r"\1pass", line) for line in lines]
