"""Comments that silence findings: `# st: ignore`, `# st: ignore[name, CODE]`, `# st: ignore-file`."""

from __future__ import annotations

import io
import re
import tokenize
from dataclasses import dataclass
from typing import Final

_COMMENT: Final = re.compile(r"#\s*st:\s*ignore(?P<file>-file)?\s*(?:\[(?P<names>[^\]]*)\])?")


@dataclass(frozen=True, slots=True)
class Ignores:
    """Lines on which checks are silent; line 0 stands for the whole file."""

    names: dict[int, set[str] | None]
    """What is silenced by line; None for every check."""

    def covers(self, line: int, name: str, code: str) -> bool:
        """Whether the check is silenced on that line or in the whole file."""
        for place in (0, line):
            if place in self.names:
                silenced = self.names[place]
                if silenced is None or {name, code, code.rstrip("0123456789")} & silenced:
                    return True
        return False


def ignores_in(text: str) -> Ignores:
    """What the comments of `text` silence."""
    if "st:" not in text:
        return Ignores({})
    found: dict[int, set[str] | None] = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            match = _COMMENT.search(token.string) if token.type == tokenize.COMMENT else None
            if match is not None:
                line = 0 if match["file"] else token.start[0]
                _add(found, line, match["names"])
    except (tokenize.TokenError, IndentationError):
        return Ignores(found)
    return Ignores(found)


def _add(found: dict[int, set[str] | None], line: int, names: str | None) -> None:
    if names is None:
        found[line] = None
        return
    known = found.setdefault(line, set())
    if known is not None:
        known |= {name.strip() for name in names.split(",") if name.strip()}
