"""Site names by index, as the segments of a session declare them."""

from __future__ import annotations

from collections.abc import Iterable

from steadytrain.core.stats import SiteKind
from steadytrain.store.records import Sites


class SiteTable:
    """The names behind the columns of a block of rows.

    A name whose declaration was damaged is replaced by one that says so: the numbers are right,
    and nobody is told that they belong to another site.
    """

    def __init__(self, session: str) -> None:
        self._session = session
        self._names: dict[SiteKind, dict[int, str]] = {}

    def learn(self, declared: Iterable[Sites]) -> None:
        """The names in `declared` are known."""
        for sites in declared:
            names = self._names.setdefault(sites.kind, {})
            names.update({i: n for i, n in enumerate(sites.names, sites.first) if n is not None})

    def names(self, kind: SiteKind, width: int) -> list[str]:
        """The names of the first `width` sites of `kind`; each stands there once."""
        known = self._names.get(kind, {})
        unique: dict[str, None] = {}
        for index in range(width):
            name = "" if kind == "run" and index == 0 else known.get(index)
            if name is None or name in unique:
                name = self.placeholder(kind, index)
            unique[name] = None
        return list(unique)

    def lost(self, kind: SiteKind, width: int) -> list[int]:
        """Which of the first `width` sites have lost their name."""
        known = self._names.get(kind, {})
        return [i for i in range(width) if i not in known and (kind, i) != ("run", 0)]

    def placeholder(self, kind: SiteKind, index: int) -> str:
        """What a site is called whose name is lost."""
        return f"{kind} {index} of {self._session} (its name is lost)"
