"""Work that must not hold up training: it runs in a short-lived thread, one at a time."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from steadytrain.store.files import Disk
from steadytrain.store.limits import Limits
from steadytrain.store.records import Truncation
from steadytrain.store.segments import OpenSegment, SegmentInfo


class Housekeeper:
    """Brings what was written to the platter, every few seconds, away from the training thread.

    No thread lives between two jobs, so that a process that forks (data loader workers) is
    almost always single-threaded as far as this package is concerned.
    """

    def __init__(self, run_dir: Path, limits: Limits, disk: Disk) -> None:
        self._run_dir = run_dir
        self._limits = limits
        self._disk = disk
        self._thread: threading.Thread | None = None
        self._retired: list[OpenSegment] = []
        self._last_sync = time.monotonic()

    @property
    def is_busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def retire(self, segment: OpenSegment) -> None:
        """`segment` is synced and closed with the next job."""
        self._retired.append(segment)

    def start_if_due(
        self,
        closed: Sequence[SegmentInfo],
        segment: OpenSegment | None,
        truncations: Sequence[Truncation],
    ) -> None:
        """A job is under way if the last sync is long ago or a segment was closed."""
        is_due = time.monotonic() - self._last_sync >= self._limits.sync_seconds
        if is_due or self._retired:
            self.start(closed, segment, truncations)

    def start(
        self,
        closed: Sequence[SegmentInfo],
        segment: OpenSegment | None,
        truncations: Sequence[Truncation],
    ) -> None:
        """A job is under way."""
        if self.is_busy:
            return
        self._last_sync = time.monotonic()
        # The segment may be closed while the job runs: it works on a descriptor of its own.
        own = os.dup(segment.descriptor) if segment else -1
        retired, self._retired = self._retired, []
        job = threading.Thread(
            target=self._run, args=(own, retired), name="steadytrain-store", daemon=True
        )
        self._thread = job
        job.start()

    def wait(self) -> None:
        """No job is under way and no retired segment is left open."""
        if self._thread is not None:
            self._thread.join()
        self._run(-1, self._retired)
        self._retired = []

    def collect(self, closed: list[SegmentInfo]) -> None:
        """`closed` says what a finished job made of it."""

    def _run(self, own: int, retired: Sequence[OpenSegment]) -> None:
        with contextlib.suppress(OSError):
            if own >= 0:
                try:
                    self._disk.sync(own)
                finally:
                    self._disk.close(own)
        for segment in retired:
            with contextlib.suppress(OSError):
                self._disk.sync(segment.descriptor)
            segment.close()
