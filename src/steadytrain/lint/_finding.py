"""What the linter says about a place in a file, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steadytrain.core.finding import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """The text from `start` to `end` is replaced; both count characters from the file's start."""

    start: int
    end: int
    text: str

    def to_json(self) -> dict[str, Any]:
        """The edit as JSON's own types."""
        return {"start": self.start, "end": self.end, "text": self.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """Edits that remove a finding."""

    message: str
    edits: tuple[Edit, ...]
    safe: bool
    """Whether the numbers that the program computes stay the same."""

    def to_json(self) -> dict[str, Any]:
        """The fix as JSON's own types."""
        edits = [edit.to_json() for edit in self.edits]
        return {"message": self.message, "safe": self.safe, "edits": edits}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fix:
        """The fix that `to_json` wrote."""
        edits = tuple(
            Edit(start=int(edit["start"]), end=int(edit["end"]), text=str(edit["text"]))
            for edit in data["edits"]
        )
        return cls(message=str(data["message"]), edits=edits, safe=bool(data["safe"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class LintFinding:
    """One statement about one place in a file.

    Lines count from 1, columns from 1, in characters; the end is exclusive. `cell` is the number
    of a notebook's code cell, from 1, and lines then count within it.

    Example:
        >>> finding = LintFinding(name="double-step", code="LOP107", severity=Severity.WARNING,
        ...                       path="train.py", line=3, column=1, end_line=3, end_column=9,
        ...                       message="The optimizer steps twice.", causes=("step-order",))
        >>> LintFinding.from_json(finding.to_json()) == finding
        True
    """

    name: str
    code: str
    severity: Severity
    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    message: str
    causes: tuple[str, ...] = ()
    """Nominated root causes, best first."""
    cell: int | None = None
    fix: Fix | None = None

    @property
    def place(self) -> str:
        """`path:line:column`, with the cell of a notebook between."""
        cell = f"cell {self.cell}:" if self.cell is not None else ""
        return f"{self.path}:{cell}{self.line}:{self.column}"

    def to_json(self) -> dict[str, Any]:
        """The finding as JSON's own types."""
        return {
            "name": self.name,
            "code": self.code,
            "severity": self.severity.name.lower(),
            "path": self.path,
            "cell": self.cell,
            "line": self.line,
            "column": self.column,
            "end_line": self.end_line,
            "end_column": self.end_column,
            "message": self.message,
            "causes": list(self.causes),
            "fix": None if self.fix is None else self.fix.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LintFinding:
        """The finding that `to_json` wrote."""
        fix, cell = data.get("fix"), data.get("cell")
        return cls(
            name=str(data["name"]),
            code=str(data["code"]),
            severity=Severity.parse(str(data["severity"])),
            path=str(data["path"]),
            line=int(data["line"]),
            column=int(data["column"]),
            end_line=int(data["end_line"]),
            end_column=int(data["end_column"]),
            message=str(data["message"]),
            causes=tuple(data.get("causes", ())),
            cell=None if cell is None else int(cell),
            fix=None if fix is None else Fix.from_json(fix),
        )
