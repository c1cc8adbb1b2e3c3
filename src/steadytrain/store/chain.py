"""The chain of segments that a writer appends to, and the directory it owns for that."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import os
import platform
import secrets
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from steadytrain.core.errors import StoreError
from steadytrain.store.catalog import read_catalog
from steadytrain.store.declarations import Declarations
from steadytrain.store.documents import RUN_DOCUMENT, write_document
from steadytrain.store.files import Disk
from steadytrain.store.framing import HEADER_BYTES
from steadytrain.store.housekeeping import Housekeeper
from steadytrain.store.limits import Limits
from steadytrain.store.lock import DirectoryLock
from steadytrain.store.merging import Merger
from steadytrain.store.records import Kind, Record
from steadytrain.store.resume import HeadRows, Survey, survey
from steadytrain.store.segments import (
    SCHEMA_VERSION,
    SEGMENTS,
    OpenSegment,
    SegmentHeader,
    SegmentInfo,
    segment_path,
)


class SegmentChain:
    """Appends records to the newest segment of a run, and begins the next one in time.

    Args:
        run_dir: the directory it will own.
        meta: what `run.json` says about a new run.
        rank: which process of the job writes.
        limits: the bounds to keep.
        disk: the system calls to use.
    """

    def __init__(
        self, run_dir: Path, meta: Mapping[str, Any], rank: int, limits: Limits, disk: Disk
    ) -> None:
        self.run_dir = run_dir
        self.run_id = secrets.token_hex(8)
        self.head = HeadRows(limits.segment_bytes)
        self.declarations = Declarations()
        self.closed: list[SegmentInfo] = []
        self._limits = limits
        self._disk = disk
        self._meta = dict(meta)
        self._rank = rank
        self._session = secrets.token_hex(4)
        self._next_number = 1
        self._segment: OpenSegment | None = None
        self._lock: DirectoryLock | None = None
        self._has_document = False
        self._housekeeper = Housekeeper(self._make_merger, limits, disk)

    @property
    def num_bytes(self) -> int:
        """What all segments take on disk."""
        current = self._segment.num_bytes if self._segment else 0
        return current + sum(info.num_bytes for info in self.closed)

    def claim(self) -> None:
        """The directory exists and is this writer's own.

        Raises:
            RunBusyError: another writer holds it.
            OSError: it cannot be made.
        """
        self._disk.make_directory(self.run_dir)
        self._lock = DirectoryLock(self.run_dir)

    def survey(self) -> Survey:
        """What the run holds already; appending goes on behind it."""
        found = survey(self.run_dir, self.head)
        document = found.catalog.document
        self._has_document = bool(document and document.get("run_id"))
        self.run_id = found.catalog.run_id or self.run_id
        self.closed = found.segments
        self._next_number = found.next_number
        self.declarations = Declarations(found.truncations[e] for e in sorted(found.truncations))
        if self._lock:
            self._clean(found.catalog.superseded)
        return found

    def prepare(self) -> None:
        """The directory is there, claimed and introduced, also when somebody deleted it.

        Raises:
            StoreError: another run or another writer is in it now.
            OSError: the directory cannot be made or written to.
        """
        self._housekeeper.collect(self.closed)
        if self._segment is not None and self._segment.is_deleted:
            self._let_go()
        if self._lock is None:
            self.claim()
            self._check_owner()
        if not self._has_document:
            self._introduce()

    def append(self, records: Sequence[Record]) -> bool:
        """`records` are on disk; False where they must wait for a merge to make room.

        Raises:
            OSError: the system refused; none of them counts as written.
        """
        segment = self._segment_for(_size(records))
        due = self.declarations.due()
        if self.num_bytes + _size(due) + _size(records) > self._limits.write_below_bytes:
            self._housekeeper.start(self.closed, segment, in_a_hurry=True)
            return False
        self._write(segment, [*due, *records])
        self.declarations.said()
        return True

    def tidy(self) -> None:
        """What is due in the background is under way."""
        self._housekeeper.start_if_due(self.closed, self._segment)

    @property
    def background_error(self) -> Exception | None:
        """What stopped the last job in the background."""
        return self._housekeeper.error

    def wait(self) -> None:
        """Nothing is under way in the background any more."""
        self._housekeeper.wait()
        self._housekeeper.collect(self.closed)

    def close(self) -> None:
        """Everything written is safe from a power cut and the directory is free."""
        if self._segment is not None:
            with contextlib.suppress(OSError):
                self._disk.sync(self._segment.descriptor)
            self._segment.close()
            self._segment = None
        self.release()

    def release(self) -> None:
        """The directory is free for another writer."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    # inside

    def _make_merger(self, rest: Callable[[], None]) -> Merger:
        truncations = self.declarations.truncations
        return Merger(self.run_dir, self.run_id, truncations, self._limits, self._disk, rest)

    def _clean(self, superseded: Sequence[int]) -> None:
        """What an interrupted merge left behind is gone."""
        left_over = [segment_path(self.run_dir, number) for number in superseded]
        with contextlib.suppress(OSError):
            for path in [*left_over, *(self.run_dir / SEGMENTS).glob(".*.tmp")]:
                self._disk.remove(path)

    def _write(self, segment: OpenSegment, records: Sequence[Record]) -> None:
        try:
            segment.append(records)
        except OSError:
            if not segment.repair():
                self._retire(segment)
            raise

    def _segment_for(self, num_bytes: int) -> OpenSegment:
        segment = self._segment
        if segment is not None and segment.num_rows:
            is_full = segment.num_bytes + num_bytes > self._limits.segment_bytes
            if is_full:
                self._write(segment, [Record(Kind.END, b"{}")])
                self._retire(segment)
        if self._segment is None:
            self._segment = self._next_segment()
        return self._segment

    def _next_segment(self) -> OpenSegment:
        number = self._next_number
        header = SegmentHeader(
            run_id=self.run_id,
            rank=self._rank,
            number=number,
            first=number,
            session=self._session,
            previous_bytes=self.closed[-1].num_bytes if self.closed else 0,
        )
        self._disk.make_directory(self.run_dir / SEGMENTS)
        try:
            segment = OpenSegment(self._disk, self.run_dir, header)
        except FileExistsError:
            self._next_number += 1
            raise
        self._next_number += 1
        self.declarations.new_segment()
        return segment

    def _retire(self, segment: OpenSegment) -> None:
        self.closed.append(segment.info)
        self._housekeeper.retire(segment)
        self._segment = None

    def _let_go(self) -> None:
        """The files are gone: what follows begins anew in the same place."""
        if self._segment is not None:
            self._segment.close()
        self._segment = None
        self.closed.clear()
        self.release()
        self._has_document = False

    def _check_owner(self) -> None:
        """Nobody else has recorded into the directory since it was last ours."""
        if read_catalog(self.run_dir).run_id not in ("", self.run_id):
            self.release()
            raise StoreError(f"{self.run_dir} was deleted and holds another run now")

    def _introduce(self) -> None:
        document = {
            "format": "steadytrain run",
            "schema_version": SCHEMA_VERSION,
            "run_id": self.run_id,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "rank": self._rank,
            "versions": _versions(),
            "meta": self._meta,
        }
        write_document(self.run_dir / RUN_DOCUMENT, document, self._disk)
        self._has_document = True


def _size(records: Sequence[Record]) -> int:
    return sum(len(record.payload) + HEADER_BYTES for record in records)


def _own_version() -> str:
    try:
        return importlib.metadata.version("steadytrain")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _versions() -> dict[str, str]:
    """What recorded the run. No environment, user, host or path: a run may be handed on."""
    versions = {
        "steadytrain": _own_version(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "system": os.name,
    }
    torch = sys.modules.get("torch")
    version = getattr(torch, "__version__", None)
    return {**versions, "torch": str(version)} if version else versions
