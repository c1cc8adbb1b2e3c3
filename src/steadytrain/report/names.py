"""Names and messages of a run are text that somebody else wrote: made safe to look at here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MAX_NAME: Final = 160
"""Characters of a name that are shown."""

MAX_TEXT: Final = 2000
"""Characters of a message, a reason or a setting that are shown."""


def visible(text: object, limit: int = MAX_TEXT) -> str:
    r"""`text` as one line in which nothing acts and nothing hides.

    Control characters (ESC, newlines), bidirectional overrides, zero-width characters and lone
    surrogates become their Python escapes; what exceeds `limit` is cut, and the cut is marked.

    Args:
        text: what to show; anything that is not a string by its `str`.
        limit: characters kept.

    Example:
        >>> visible("a\x1b[31m\u202eb\n")
        'a\\x1b[31m\\u202eb\\n'
        >>> visible("x" * 1000, limit=4)
        'xxxx… (+996 characters)'
    """
    whole = text if isinstance(text, str) else str(text)
    kept = whole[:limit]
    if not kept.isprintable():
        kept = "".join(char if char.isprintable() else _escaped(char) for char in kept)
    cut = len(whole) - limit
    return kept if cut <= 0 else f"{kept}… (+{cut:,} characters)"


def visible_name(name: object) -> str:
    """`visible` at the length that fits a name."""
    return visible(name, MAX_NAME)


def run_name(meta: Mapping[str, object], fallback: str) -> str:
    """What a run is called: its own name if it has one, else the `fallback`, safe to show."""
    name = meta.get("name")
    return visible_name(name if isinstance(name, str) and name.strip() else fallback)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
