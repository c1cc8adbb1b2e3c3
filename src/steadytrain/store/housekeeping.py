"""Work that must not hold up training: it runs in a short-lived thread, one at a time."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from steadytrain.store.files import Disk
from steadytrain.store.limits import Limits
from steadytrain.store.merging import Merger
from steadytrain.store.retention import next_pair
from steadytrain.store.segments import OpenSegment, SegmentInfo

_WORK_SECONDS: Final = 0.0002
_REST_SECONDS: Final = 0.0005


class Housekeeper:
    """Syncs what was written every few seconds and merges what outgrew its bounds.

    The training thread only starts a job (about 60 µs, every five seconds) and picks up its
    result; a sync or a merge is never waited for but in `close`. No thread lives between two
    jobs, so that a process that forks (data loader workers) does it almost always without one.

    Args:
        make_merger: the merger for what is known of the run at that moment; it is given what to
            call between two records.
        limits: the bounds to keep.
        disk: the system calls to use.
    """

    def __init__(
        self, make_merger: Callable[[Callable[[], None]], Merger], limits: Limits, disk: Disk
    ) -> None:
        self.error: Exception | None = None
        """What stopped the last job."""
        self._make_merger = make_merger
        self._limits = limits
        self._disk = disk
        self._thread: threading.Thread | None = None
        self._retired: list[OpenSegment] = []
        self._merged: list[tuple[SegmentInfo, SegmentInfo, SegmentInfo]] = []
        self._last_sync = time.monotonic()
        self._last_rest = 0.0
        self._is_in_a_hurry = False

    @property
    def is_busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def retire(self, segment: OpenSegment) -> None:
        """`segment` is synced and closed with the next job."""
        self._retired.append(segment)

    def start_if_due(self, closed: list[SegmentInfo], segment: OpenSegment | None) -> None:
        """A job is under way if the last sync is long ago or a segment was closed."""
        is_due = time.monotonic() - self._last_sync >= self._limits.sync_seconds
        if is_due or self._retired:
            self.start(closed, segment)

    def start(
        self,
        closed: list[SegmentInfo],
        segment: OpenSegment | None,
        *,
        in_a_hurry: bool = False,
    ) -> None:
        """A job is under way; in a hurry when rows wait for the room it makes."""
        self._is_in_a_hurry = in_a_hurry
        if self.is_busy:
            return
        self.collect(closed)
        self._last_sync = time.monotonic()
        # The segment may be closed while the job runs: it works on a descriptor of its own.
        own = os.dup(segment.descriptor) if segment else -1
        retired, self._retired = self._retired, []
        arguments = (own, retired, list(closed), self._make_merger(self._rest))
        job = threading.Thread(
            target=self._run, args=arguments, name="steadytrain-store", daemon=True
        )
        self._thread = job
        job.start()

    def wait(self) -> None:
        """No job is under way and no retired segment is left open."""
        self._is_in_a_hurry = True
        if self._thread is not None:
            self._thread.join()
        retired, self._retired = self._retired, []
        self._sync(-1, retired)

    def collect(self, closed: list[SegmentInfo]) -> None:
        """`closed` says what a finished job made of it."""
        if self.is_busy:
            return
        merged, self._merged = self._merged, []
        for older, newer, result in merged:
            if older in closed and newer in closed:
                closed[closed.index(older)] = result
                closed.remove(newer)

    def _run(
        self, own: int, retired: Sequence[OpenSegment], closed: list[SegmentInfo], merger: Merger
    ) -> None:
        self.error = None
        try:
            self._sync(own, retired)
            self._merge(closed, merger)
        except Exception as error:  # a job that fails must not print a traceback into a run
            self.error = error

    def _rest(self) -> None:
        """Leaves the interpreter to the training thread for most of the time.

        A thread that computes in Python can make another one wait for the interpreter's switch
        interval, 5 ms, whenever that comes back from torch or the disk; 0.2 ms is the aim here.
        """
        now = time.perf_counter()
        if not self._is_in_a_hurry and not 0 <= now - self._last_rest < _WORK_SECONDS:
            time.sleep(_REST_SECONDS)
            self._last_rest = time.perf_counter()

    def _sync(self, own: int, retired: Sequence[OpenSegment]) -> None:
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

    def _merge(self, closed: list[SegmentInfo], merger: Merger) -> None:
        while (at := next_pair(closed, self._limits)) is not None:
            older, newer = closed[at : at + 2]
            result = merger.merge(older, newer)
            closed[at : at + 2] = [result]
            self._merged.append((older, newer, result))
