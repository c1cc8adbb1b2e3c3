"""What a segment must say before its rows can be understood: site names and truncations.

Every segment says it for itself, so that none depends on another; and says it twice, in two
different writes, so that one damaged record does not take the meaning of all the others away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

from steadytrain.core.stats import SiteKind
from steadytrain.store.records import (
    MAX_SITES,
    Record,
    Truncation,
    encode_sites,
    encode_truncation,
)


class Declarations:
    """Site names by kind and the truncations of a run, and how far a segment knows them."""

    def __init__(self, truncations: Iterable[Truncation] = ()) -> None:
        self._names: dict[SiteKind, dict[str, int]] = {kind: {} for kind in get_args(SiteKind)}
        self.truncations = list(truncations)
        self._once: dict[str, int] = {}
        self._twice: dict[str, int] = {}

    @property
    def names(self) -> Mapping[SiteKind, Mapping[str, int]]:
        return self._names

    def num_sites(self, kind: SiteKind) -> int:
        return len(self._names[kind])

    def add_sites(self, kind: SiteKind, names: Iterable[str]) -> None:
        """Every name is a site of `kind`; known ones keep their place."""
        known = self._names[kind]
        for name in names:
            if len(known) < MAX_SITES:
                known.setdefault(name, len(known))

    def new_segment(self) -> None:
        """A segment begins that knows nothing yet."""
        self._once, self._twice = {}, {}

    def due(self) -> list[Record]:
        """What the next write to the segment must say first."""
        records = [encode_truncation(t) for t in self.truncations[self._twice.get("", 0) :]]
        for kind, known in self._names.items():
            start = self._twice.get(kind, 0)
            if start < len(known):
                records += encode_sites(kind, start, list(known)[start:])
        return records

    def said(self) -> None:
        """What `due` returned is in the segment."""
        self._twice = self._once
        self._once = {kind: len(known) for kind, known in self._names.items()}
        self._once[""] = len(self.truncations)
