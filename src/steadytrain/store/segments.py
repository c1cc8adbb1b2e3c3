"""Segments: the append-only files `segments/NNNNNN.seg` that hold a run's records."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from steadytrain.store.files import Disk, write_all
from steadytrain.store.framing import encode, seed_of
from steadytrain.store.records import Kind, Record, to_json, whole

SCHEMA_VERSION: Final = 1
"""Of everything in a run directory; raised when an older release would misread it."""

SEGMENTS: Final = "segments"
MAX_SEGMENT_BYTES: Final = 256 << 20
"""What is read of one segment; the writer closes a segment long before."""

_NAME: Final = re.compile(r"([0-9]{6,12})\.seg")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentHeader:
    """A segment's first record: whose it is, and what it stands for."""

    run_id: str
    rank: int
    number: int
    first: int
    """The oldest segment whose rows it holds: its own number unless it was merged."""
    session: str
    """Site indices mean the same in all segments of a session."""
    level: int = 0
    """Every 2^level-th row was kept."""
    previous_bytes: int = 0
    """How long the segment before it was when this one was begun."""

    def to_record(self) -> Record:
        """The header as a record."""
        content = {name: getattr(self, name) for name in self.__slots__}
        return Record(Kind.HEADER, to_json({"schema_version": SCHEMA_VERSION, **content}))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> SegmentHeader:
        """The header that `to_record` wrote.

        Raises:
            ValueError: it is none.
        """
        counts = {name: whole(content, name) for name in ("rank", "number", "first", "level")}
        if counts["first"] > counts["number"]:
            raise ValueError("a segment that begins after itself")
        return cls(
            run_id=str(content.get("run_id")),
            session=str(content.get("session")),
            previous_bytes=whole(content, "previous_bytes"),
            **counts,
        )


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """What is known of a segment without opening it."""

    number: int
    first: int
    num_bytes: int
    level: int
    last_step: int


def segment_path(run_dir: Path, number: int) -> Path:
    """Where segment `number` of a run stands."""
    return run_dir / SEGMENTS / f"{number:06}.seg"


def segment_numbers(run_dir: Path) -> list[int]:
    """Numbers of the segment files in a run directory, ascending; none where there are none."""
    folder = run_dir / SEGMENTS
    if folder.is_symlink():
        return []
    with contextlib.suppress(OSError):
        matches = [_NAME.fullmatch(path.name) for path in folder.iterdir()]
        numbers = {int(match[1]): match[0] for match in matches if match}
        return sorted(n for n, name in numbers.items() if name == segment_path(run_dir, n).name)
    return []


def frames(records: Sequence[Record], sequence: int, seed: int) -> bytes:
    """`records` as consecutive frames, the first with number `sequence`."""
    parts: list[bytes] = []
    for index, record in enumerate(records, sequence):
        parts += (encode(record.kind, index, record.payload, seed), record.payload)
    return b"".join(parts)


class OpenSegment:
    """The segment that is being written: it grows by one write per `append`.

    What an interrupted append left behind is cut off before the next one, so that no reader ever
    has to guess about it.
    """

    def __init__(self, disk: Disk, run_dir: Path, header: SegmentHeader) -> None:
        self.header = header
        self.num_bytes = 0
        self.last_step = -1
        self.num_rows = 0
        self._disk = disk
        self._seed = seed_of(header.run_id, header.number)
        self._sequence = 0
        self._in_flight = False
        self.descriptor = disk.create(segment_path(run_dir, header.number))

    @property
    def info(self) -> SegmentInfo:
        """What retention needs to know of it."""
        number = self.header.number
        return SegmentInfo(number, number, self.num_bytes, 0, self.last_step)

    @property
    def is_deleted(self) -> bool:
        """Somebody removed the file while it was open."""
        return self._disk.num_links(self.descriptor) == 0

    def append(self, records: Sequence[Record]) -> None:
        """`records` are in the file, or none of them counts as written.

        Raises:
            OSError: the system refused.
        """
        if self._in_flight and not self.repair():
            raise OSError("an interrupted write could not be undone")
        if not self._sequence:
            records = [self.header.to_record(), *records]
        data = frames(records, self._sequence, self._seed)
        self._in_flight = True
        write_all(self._disk, self.descriptor, data)
        self.num_bytes += len(data)
        self._sequence += len(records)
        self._in_flight = False
        self.num_rows += sum(record.num_rows for record in records)
        self.last_step = max(self.last_step, *(record.last_step for record in records))

    def repair(self) -> bool:
        """Whether the file ends where the last whole append ended."""
        if self._in_flight:
            with contextlib.suppress(OSError):
                self._disk.truncate(self.descriptor, self.num_bytes)
                self._in_flight = False
        return not self._in_flight

    def close(self) -> None:
        """The descriptor is given back; what the system says about it changes nothing now."""
        with contextlib.suppress(OSError):
            self._disk.close(self.descriptor)
