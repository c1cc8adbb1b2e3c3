"""What one segment says, sorted by kind, and in words what is missing from it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from steadytrain.core.errors import RunVersionError
from steadytrain.store.files import read_regular
from steadytrain.store.framing import Damage, Frame, scan, seed_of
from steadytrain.store.records import (
    Dropped,
    Kind,
    RowBlock,
    Said,
    Sites,
    Truncation,
    decode_dropped,
    decode_rows,
    decode_said,
    decode_sites,
    decode_truncation,
    from_json,
)
from steadytrain.store.segments import (
    MAX_SEGMENT_BYTES,
    SCHEMA_VERSION,
    SEGMENTS,
    SegmentHeader,
)

T = TypeVar("T")


@dataclass(slots=True)
class Segment:
    """The records of a segment that passed every check."""

    name: str
    number: int
    num_bytes: int
    header: SegmentHeader | None = None
    sites: list[Sites] = field(default_factory=list[Sites])
    truncations: list[Truncation] = field(default_factory=list[Truncation])
    blocks: list[RowBlock] = field(default_factory=list[RowBlock])
    findings: list[Said] = field(default_factory=list[Said])
    events: list[Said] = field(default_factory=list[Said])
    metas: list[Mapping[str, Any]] = field(default_factory=list[Mapping[str, Any]])
    dropped: list[Dropped] = field(default_factory=list[Dropped])
    missing: list[str] = field(default_factory=list[str])
    """In sentences, what was lost from it."""
    unfinished_bytes: int = 0
    is_foreign: bool = False
    """It belongs to another run, or stands where it was not written."""
    is_ended: bool = False
    """The writer closed it; nothing can follow."""

    @property
    def session(self) -> str:
        """Segments with the same session share their site indices."""
        return self.header.session if self.header else f"segment {self.number}"

    @property
    def level(self) -> int:
        return self.header.level if self.header else 0

    @property
    def first(self) -> int:
        return self.header.first if self.header else self.number

    @property
    def last_step(self) -> int:
        """The newest step in it, -1 without a row."""
        return max((int(block.steps.max()) for block in self.blocks), default=-1)


def read_header(path: Path, number: int) -> SegmentHeader | None:
    """A segment's header, or None where it is damaged.

    Raises:
        OSError: the file cannot be read.
        RunVersionError: it was written by another schema version.
    """
    data, _ = read_regular(path, 4096)
    for piece in scan(data, 0):
        if isinstance(piece, Frame) and piece.kind == Kind.HEADER:
            return _header(piece.payload, path.name, number)
        break
    return None


def read_segment(
    path: Path, number: int, run_id: str, rest: Callable[[], None] | None = None
) -> Segment:
    """Everything undamaged in a segment.

    Args:
        path: the file.
        number: its place in the run.
        run_id: of the run.
        rest: called between two records, for who must not take the processor for long.

    Raises:
        OSError: the file cannot be read.
        RunVersionError: it was written by another schema version.
    """
    data, size = read_regular(path, MAX_SEGMENT_BYTES)
    segment = Segment(f"{SEGMENTS}/{path.name}", number, size)
    reading = _Reading(segment, run_id)
    for piece in scan(data, seed_of(run_id, number)):
        if isinstance(piece, Frame):
            reading.take(piece)
        else:
            reading.pass_over(piece)
        if segment.is_foreign:
            break
        if rest:
            rest()
    reading.finish(len(data), size)
    return segment


def shortfall(last: Segment, following: Segment) -> str | None:
    """The sentence on what `last` has lost at its end since `following` was begun."""
    if last.is_ended or following.header is None or following.first != last.number + 1:
        return None
    lost = following.header.previous_bytes - last.num_bytes
    if lost <= 0:
        return None
    return (
        f"{last.name}: at least {lost:,} bytes at its end are missing; the records there are "
        f"lost, all of them after step {last.last_step}."
    )


class _Reading:
    """Goes through a segment's pieces and keeps count of what should have been there."""

    def __init__(self, segment: Segment, run_id: str) -> None:
        self.segment = segment
        self._run_id = run_id
        self._expected = 0
        self._step = -1
        self._damage: list[Damage] = []
        self._gap: tuple[int, int] | None = None
        self._not_understood = 0

    def take(self, frame: Frame) -> None:
        if frame.sequence < self._expected:
            return  # part of the file stands in it twice
        lost = frame.sequence - self._expected
        self._expected = frame.sequence + 1
        before = self._step
        try:
            _DECODERS.get(frame.kind, _unknown)(self, frame.payload)
        except (ValueError, TypeError, KeyError, RecursionError):
            self._not_understood += 1
        if lost:
            self._say_lost(lost, before)
        self._damage.clear()

    def pass_over(self, damage: Damage) -> None:
        if damage.unfinished:
            self.segment.unfinished_bytes = damage.stop - damage.start
        else:
            self._damage.append(damage)

    def finish(self, num_read: int, size: int) -> None:
        segment = self.segment
        if self._not_understood:
            segment.missing.append(
                f"{segment.name}: {_count(self._not_understood)} could not be understood."
            )
        if size > num_read:
            segment.missing.append(
                f"{segment.name} has {size:,} bytes; only the first {num_read:,} are read."
            )
        if self._damage and not segment.is_ended and not segment.is_foreign:
            segment.missing.append(
                f"{segment.name}: {self._where()} at its end; the records there are lost, "
                f"all of them after step {self._step}."
            )

    # what the decoders do

    def header(self, payload: memoryview) -> None:
        header = _header(payload, self.segment.name, self.segment.number)
        if header and header.run_id == self._run_id:
            self.segment.header = header
            return
        self.segment.is_foreign = True
        self.segment.missing.append(
            f"{self.segment.name} belongs to another run or another place in it; it is not read."
        )

    def rows(self, payload: memoryview, *, head: bool = False) -> None:
        block = decode_rows(payload, head=head)
        self.segment.blocks.append(block)
        self._step = int(block.steps[-1])

    def end(self, _: memoryview) -> None:
        self.segment.is_ended = True

    def note(self, payload: memoryview) -> None:
        self.segment.missing.append(str(from_json(payload)["note"]))

    # sentences

    def _say_lost(self, lost: int, before: int) -> None:
        after = f" and {self._step}" if self._step != before else " and the next"
        between = f"between the rows of step {before}{after}" if before >= 0 else "at its beginning"
        self.segment.missing.append(
            f"{self.segment.name}: {self._where()}; {_count(lost)} lost {between}."
        )

    def _where(self) -> str:
        if not self._damage:
            return "bytes are missing"
        start = self._damage[0].start
        num_bytes = sum(damage.stop - damage.start for damage in self._damage)
        return f"{num_bytes:,} damaged bytes from byte {start:,} on"


def _count(records: int) -> str:
    return "1 record" if records == 1 else f"{records:,} records"


def _header(payload: memoryview, name: str, number: int) -> SegmentHeader | None:
    content = from_json(payload)
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise RunVersionError(version_message(name, version))
    with contextlib.suppress(ValueError):
        header = SegmentHeader.from_json(content)
        return header if header.number == number else None
    return None


def version_message(what: str, version: object) -> str:
    """Why a run of another version is refused, and what to do."""
    return (
        f"{what} was written with schema version {version!r:.30}; this release of steadytrain "
        f"reads and writes version {SCHEMA_VERSION}. Use the release that wrote it, or record "
        "into another directory. Nothing was changed."
    )


def _unknown(_: _Reading, __: memoryview) -> None:
    raise ValueError("a record of an unknown kind")


def _put(decode: Callable[[memoryview], T], place: str) -> Callable[[_Reading, memoryview], None]:
    def take(reading: _Reading, payload: memoryview) -> None:
        getattr(reading.segment, place).append(decode(payload))

    return take


_DECODERS: Final[dict[int, Callable[[_Reading, memoryview], None]]] = {
    Kind.HEADER: _Reading.header,
    Kind.SITES: _put(decode_sites, "sites"),
    Kind.ROWS: _Reading.rows,
    Kind.HEAD_ROWS: lambda reading, payload: reading.rows(payload, head=True),
    Kind.FINDING: _put(decode_said, "findings"),
    Kind.EVENT: _put(decode_said, "events"),
    Kind.META: _put(from_json, "metas"),
    Kind.TRUNCATE: _put(decode_truncation, "truncations"),
    Kind.DROPPED: _put(decode_dropped, "dropped"),
    Kind.NOTE: _Reading.note,
    Kind.END: _Reading.end,
}
