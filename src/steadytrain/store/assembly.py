"""A history put together again from segments, oldest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from steadytrain.core.action import Event
from steadytrain.core.finding import Finding
from steadytrain.core.history import History
from steadytrain.core.stats import STATS, SiteKind
from steadytrain.store.blocks import joined
from steadytrain.store.framing import MAX_PAYLOAD
from steadytrain.store.records import RowBlock, Said, Truncation
from steadytrain.store.scan import Segment, shortfall
from steadytrain.store.tables import SiteTable
from steadytrain.store.truncations import Truncations

MAX_CELLS: Final = 1 << 29
"""Numbers that are read of one run, 2 GiB of memory; a hostile run could claim any number."""

T = TypeVar("T")


class Assembly:
    """Everything a run's segments say, made into what its readers use.

    Args:
        missing: sentences known already; it goes on growing.
    """

    def __init__(self, missing: list[str]) -> None:
        self.history = History(capacity=None)
        self.meta: dict[str, Any] = {}
        self.missing = missing
        self._truncations = Truncations()
        self._findings: list[Said] = []
        self._events: list[Said] = []
        self._tables: dict[str, SiteTable] = {}
        self._columns: dict[tuple[str, SiteKind, int], NDArray[np.intp]] = {}
        self._num_cells = 0
        self._unknown: set[str] = set()
        self._thinned: list[tuple[int, int, int]] = []
        self._last: Segment | None = None

    def add(self, segment: Segment) -> bool:
        """The records of `segment` are part of the run; False once no more can be held."""
        self.missing += segment.missing
        if segment.is_foreign:
            return True
        self._check_end(segment)
        self._learn_sites(segment)
        self._findings += segment.findings
        self._events += segment.events
        for meta in segment.metas:
            self.meta.update(meta)
        for dropped in segment.dropped:
            self.missing.append(
                f"{dropped.num_rows:,} rows of steps {dropped.first_step:,} to "
                f"{dropped.last_step:,} could not be written and were dropped ({dropped.reason})."
            )
        return self._add_rows(segment)

    def finish(self) -> None:
        """What can only be said at the end is said."""
        last = self._last
        if last is not None and not last.is_ended:
            torn = f" Its last {last.unfinished_bytes:,} bytes are an unfinished write."
            self.missing.append(
                "The run has no end mark: its process was killed or is still writing. The newest "
                f"row is of step {self.history.step:,}.{torn if last.unfinished_bytes else ''}"
            )
        for level, group in _grouped(self._thinned):
            self.missing.append(
                f"Steps {group[0]:,} to {group[1]:,} are thinned: one row in {1 << level} of "
                "each statistic was kept to stay below the size limit; its first are complete."
            )
        if self._unknown:
            names = ", ".join(sorted(self._unknown)[:5])
            self.missing.append(
                f"Rows of statistics that this release does not know are left out: {names:.200}."
            )

    def findings(self) -> list[Finding]:
        """The findings of the run, each once, in the order they were made."""
        unique: list[Finding] = []
        seen: set[str] = set()
        for finding in self._alive(self._findings, Finding.from_json, "finding"):
            key = repr(finding.to_json())
            if key not in seen:
                seen.add(key)
                unique.append(finding)
        return unique

    def events(self) -> list[Event]:
        """The events of the run in the order they happened."""
        return self._alive(self._events, Event.from_json, "event")

    # inside

    def _alive(
        self, said: list[Said], build: Callable[[Mapping[str, Any]], T], what: str
    ) -> list[T]:
        built: list[T] = []
        for item in said:
            try:
                if not self._truncations.has_replaced(item.epoch, int(item.data["step"])):
                    built.append(build(item.data))
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
                self.missing.append(f"One {what} could not be understood.")
        return built

    def _check_end(self, segment: Segment) -> None:
        """Whether the segment before is as long as it was when this one was begun."""
        last, self._last = self._last, segment
        sentence = shortfall(last, segment) if last else None
        if sentence:
            self.missing.append(sentence)

    def _learn_sites(self, segment: Segment) -> None:
        table = self._tables.setdefault(segment.session, SiteTable(segment.session))
        table.learn(segment.sites)

    def _add_rows(self, segment: Segment) -> bool:
        self._truncations.meet(segment.truncations)
        low, high = -1, -1
        for block in joined(segment.blocks, MAX_PAYLOAD):
            if block.stat not in STATS:
                self._unknown.add(block.stat)
                continue
            self._reach(block.epoch, segment)
            if not self._put(block, segment.session):
                self.missing.append(
                    f"The run holds more than {MAX_CELLS:,} numbers; what follows step "
                    f"{self.history.step:,} is not read."
                )
                return False
            first, last = int(block.steps.min()), int(block.steps.max())
            low, high = first if low < 0 else min(low, first), max(high, last)
        self._reach(max((t.epoch for t in segment.truncations), default=0), segment)
        if segment.level and low >= 0:
            self._thinned.append((segment.level, low, high))
        return True

    def _reach(self, epoch: int, segment: Segment) -> None:
        """Rows that the truncations up to `epoch` have killed are out of the history."""
        while self._truncations.epoch < epoch:
            found = self._truncations.next()
            if found is None:
                steps = [int(b.steps.min()) for b in segment.blocks if b.epoch >= epoch]
                found = Truncation(epoch, min(steps, default=self.history.step + 1))
                self._truncations.meet([found])
                self.missing.append(
                    f"{segment.name}: the run was rolled back, but the record that says how far "
                    f"is damaged; step {found.step:,}, where it went on, is assumed."
                )
                self._truncations.skip_to(epoch)
            self.history.truncate(found.step)

    def _put(self, block: RowBlock, session: str) -> bool:
        kind = STATS[block.stat].kind
        places = self._places(session, kind, block.values.shape[1])
        width = len(self.history.sites_of(kind))
        alive = block.steps < self._truncations.limit(block.epoch)
        self._num_cells += int(alive.sum()) * width
        if self._num_cells > MAX_CELLS:
            return False
        is_plain = len(places) == width and bool((places == np.arange(width)).all())
        rows = block.values[alive]
        if not is_plain:
            rows = np.full((len(rows), width), np.nan)
            rows[:, places] = block.values[alive]
        self.history.extend(block.stat, block.steps[alive], rows)
        return True

    def _places(self, session: str, kind: SiteKind, width: int) -> NDArray[np.intp]:
        """Where the history has the first `width` sites of a session."""
        key = (session, kind, width)
        if key not in self._columns:
            self._columns[key] = self._find_places(session, kind, width)
        return self._columns[key]

    def _find_places(self, session: str, kind: SiteKind, width: int) -> NDArray[np.intp]:
        table = self._tables[session]
        lost = table.lost(kind, width)
        if lost:
            self.missing.append(
                f"The names of {len(lost):,} {kind} sites are damaged; their rows are kept under "
                f"names like {table.placeholder(kind, lost[0])!r}."
            )
        names = table.names(kind, width)
        self.history.add_sites(kind, names)
        order = {name: place for place, name in enumerate(self.history.sites_of(kind))}
        return np.array([order[name] for name in names], dtype=np.intp)


def _grouped(thinned: list[tuple[int, int, int]]) -> list[tuple[int, tuple[int, int]]]:
    """Neighbouring segments of one level as one range."""
    groups: list[tuple[int, tuple[int, int]]] = []
    for level, low, high in thinned:
        if groups and groups[-1][0] == level:
            groups[-1] = level, (min(groups[-1][1][0], low), max(groups[-1][1][1], high))
        else:
            groups.append((level, (low, high)))
    return groups
