"""Two neighbouring segments become one: written beside them, put in place, then the old removed.

Killed at any point in between, the directory still reads as the same run: the new segment's
header says which numbers it stands for, and the writer that comes next removes what is left over.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from steadytrain.core.stats import STATS
from steadytrain.store.blocks import joined
from steadytrain.store.declarations import Declarations
from steadytrain.store.files import Disk, replace_file
from steadytrain.store.framing import MAX_PAYLOAD, seed_of
from steadytrain.store.limits import Limits
from steadytrain.store.records import (
    BLOCK_BYTES,
    Kind,
    Record,
    RowBlock,
    Said,
    Truncation,
    encode_dropped,
    encode_rows,
    encode_said,
    to_json,
)
from steadytrain.store.retention import thin
from steadytrain.store.scan import Segment, read_segment, shortfall
from steadytrain.store.segments import SegmentHeader, SegmentInfo, frames, segment_path
from steadytrain.store.tables import SiteTable
from steadytrain.store.truncations import Truncations

_MAX_NOTES: Final = 100
_MAX_LEVEL: Final = 40


class Merger:
    """Merges segments of one run.

    Args:
        run_dir: the run directory, owned by this process.
        run_id: of the run.
        truncations: all that are known; rows they have killed are left behind.
        limits: the bounds to keep.
        disk: the system calls to use.
        rest: called between two records.
    """

    def __init__(
        self,
        run_dir: Path,
        run_id: str,
        truncations: Iterable[Truncation],
        limits: Limits,
        disk: Disk,
        rest: Callable[[], None],
    ) -> None:
        self._run_dir = run_dir
        self._run_id = run_id
        self._truncations = list(truncations)
        self._limits = limits
        self._disk = disk
        self._rest = rest

    def merge(self, older: SegmentInfo, newer: SegmentInfo) -> SegmentInfo:
        """One segment stands for both, under the number of the newer one.

        Raises:
            OSError: it could not be written or read; both are as they were.
        """
        pair = [self._read(older.number), self._read(newer.number)]
        fits = older.num_bytes + newer.num_bytes <= self._limits.segment_bytes
        level = max(older.level, newer.level) + (0 if fits else 1)
        data = self._encoded(pair, level)
        while len(data) > 2 * self._limits.segment_bytes and level < _MAX_LEVEL:
            level += 1
            data = self._encoded(pair, level)
        replace_file(self._disk, segment_path(self._run_dir, newer.number), data)
        self._disk.remove(segment_path(self._run_dir, older.number))
        last_step = max(older.last_step, newer.last_step)
        return SegmentInfo(newer.number, older.first, len(data), level, last_step)

    def _read(self, number: int) -> Segment:
        return read_segment(segment_path(self._run_dir, number), number, self._run_id, self._rest)

    def _merged(self, pair: Sequence[Segment], level: int) -> list[Record]:
        """The records of both segments, thinned to `level`."""
        told = (*pair[0].truncations, *pair[1].truncations, *self._truncations)
        by_epoch = {truncation.epoch: truncation for truncation in told}
        ordered = [by_epoch[epoch] for epoch in sorted(by_epoch)]
        declarations = Declarations(ordered)
        blocks = _blocks(pair, level, declarations, Truncations(ordered), self._rest)
        notes, said = _said(pair, self._limits.segment_bytes // 4)
        declared = declarations.due()
        return [
            *declared,
            *(encode_rows(block) for block in joined(blocks, BLOCK_BYTES)),
            *said,
            *_notes([*_missing(pair), *notes]),
            *declared,
            Record(Kind.END, b"{}"),
        ]

    def _encoded(self, pair: Sequence[Segment], level: int) -> bytes:
        rank = next((s.header.rank for s in pair if s.header), 0)
        older, newer = pair
        header = SegmentHeader(
            run_id=self._run_id,
            rank=rank,
            number=newer.number,
            first=older.first,
            session=secrets.token_hex(4),
            level=level,
        )
        records = [header.to_record(), *self._merged(pair, level)]
        return frames(records, 0, seed_of(self._run_id, newer.number))


def _blocks(
    pair: Sequence[Segment],
    level: int,
    declarations: Declarations,
    dead: Truncations,
    rest: Callable[[], None],
) -> list[RowBlock]:
    """The rows of both segments, thinned to `level`, over one table of sites."""
    blocks: list[RowBlock] = []
    for segment in pair:
        table = SiteTable(segment.session)
        table.learn(segment.sites)
        for block in thin(segment.blocks, 1 << (level - segment.level), dead):
            blocks.append(_renumbered(block, table, declarations))
            rest()
    return blocks


def _renumbered(block: RowBlock, table: SiteTable, declarations: Declarations) -> RowBlock:
    """The block with its columns where the merged segment has their sites."""
    if block.stat not in STATS:
        return block
    kind = STATS[block.stat].kind
    names = table.names(kind, block.values.shape[1])
    declarations.add_sites(kind, names)
    places = _places(declarations.names[kind], names)
    if np.array_equal(places, np.arange(len(names))):
        return block
    values = np.full((len(block.steps), int(places.max()) + 1), np.nan, block.values.dtype)
    values[:, places] = block.values
    return replace(block, values=values)


def _places(known: Mapping[str, int], names: Sequence[str]) -> NDArray[np.intp]:
    return np.array([known[name] for name in names], dtype=np.intp)


def _said(pair: Sequence[Segment], max_bytes: int) -> tuple[list[str], list[Record]]:
    """Findings, events, meta and drops of both, the newest findings and events that fit."""
    notes: list[str] = []
    records: list[Record] = []
    parts: list[tuple[Kind, str, list[Said]]] = [
        (Kind.FINDING, "findings", [said for s in pair for said in s.findings]),
        (Kind.EVENT, "events", [said for s in pair for said in s.events]),
    ]
    for kind, what, said in parts:
        encoded = [encode_said(kind, item) for item in said]
        kept = _newest(encoded, max_bytes)
        if len(kept) < len(encoded):
            notes.append(f"{len(encoded) - len(kept):,} old {what} were left out for their size.")
        records += kept
    meta: dict[str, Any] = {}
    for segment in pair:
        for part in segment.metas:
            meta.update(part)
    record = Record(Kind.META, to_json(meta))
    if meta and len(record.payload) <= MAX_PAYLOAD:
        records.append(record)
    return notes, records + [encode_dropped(d) for s in pair for d in s.dropped]


def _newest(records: list[Record], max_bytes: int) -> list[Record]:
    size = 0
    for count, record in enumerate(reversed(records)):
        size += len(record.payload)
        if size > max_bytes:
            return records[len(records) - count :]
    return records


def _missing(pair: Sequence[Segment]) -> list[str]:
    older, newer = pair
    cut = shortfall(older, newer)
    return [*older.missing, *([cut] if cut else []), *newer.missing]


def _notes(sentences: Sequence[str]) -> list[Record]:
    kept = list(sentences[:_MAX_NOTES])
    if len(sentences) > _MAX_NOTES:
        kept.append(f"{len(sentences) - _MAX_NOTES:,} further losses are not listed.")
    return [Record(Kind.NOTE, to_json({"note": sentence})) for sentence in kept]
