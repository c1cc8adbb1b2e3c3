"""The flight recorder: what a run measures goes to its directory, and training never notices."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike

from steadytrain.core.action import Event
from steadytrain.core.errors import RunBusyError, StoreError, UsageError
from steadytrain.core.finding import Finding
from steadytrain.core.stats import SiteKind, declared
from steadytrain.store.catalog import read_catalog
from steadytrain.store.chain import SegmentChain
from steadytrain.store.files import Disk
from steadytrain.store.limits import Limits
from steadytrain.store.outage import Outage, say
from steadytrain.store.pending import Pending
from steadytrain.store.records import (
    MAX_STEP,
    Kind,
    Record,
    Said,
    Truncation,
    encode_said,
    encode_truncation,
    to_json,
)

IfBusy = Literal["sibling", "error"]

_LAST_ATTEMPTS: Final = 16


class RunWriter:
    """Records a run in a directory. After construction nothing it does raises for the disk's sake.

    What `flush` has returned True for survives `kill -9`; a power cut takes at most the last few
    seconds. A run of the same schema version is taken up: a new segment, the same run id, and
    the first row replaces what was recorded from its step on. One thread at a time may use it;
    in a forked child it does nothing.

    Args:
        run_dir: the directory; made where it is missing.
        meta: what to remember about the run, as JSON can carry it.
        rank: which process of a distributed job this is.
        if_busy: when another live writer holds the directory: `sibling` records into a new
            directory `run-2`, `run-3` ... inside it and says so in a warning, `error` raises.
        limits: bounds on disk and memory.
        disk: the system calls to use.

    Raises:
        RunVersionError: a run of another schema version is there; it is left as it is.
        RunBusyError: another writer is there and `if_busy` is `error`.
        StoreError: something that is no directory is there.

    Example:
        >>> import tempfile
        >>> from steadytrain.store.reader import read_run
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     writer = RunWriter(folder, meta={"name": "first"})
        ...     writer.add_row(0, "loss", [2.5])
        ...     writer.close()
        ...     read_run(folder).history.series("loss").tolist()
        [2.5]
    """

    def __init__(
        self,
        run_dir: str | os.PathLike[str],
        meta: Mapping[str, Any] | None = None,
        *,
        rank: int = 0,
        if_busy: IfBusy = "sibling",
        limits: Limits | None = None,
        disk: Disk | None = None,
    ) -> None:
        if if_busy not in ("sibling", "error"):
            raise UsageError(f"if_busy must be 'sibling' or 'error', got {if_busy!r}.")
        self._limits = limits or Limits()
        self._pid = os.getpid()
        self._outage = Outage()
        self._pending = Pending(self._limits.max_queue_bytes)
        self._is_flushing = self._is_closed = False
        self._chain = self._open(Path(run_dir), dict(meta or {}), rank, if_busy, disk or Disk())
        found = self._chain.survey()
        self._epoch = found.epoch
        self._held_rows = not found.is_empty
        self._resumes_before = found.last_step if not found.is_empty else -1
        if meta and not found.is_empty:
            self.add_meta(meta)

    @property
    def run_dir(self) -> Path:
        """The directory that is recorded into."""
        return self._chain.run_dir

    @property
    def run_id(self) -> str:
        return self._chain.run_id

    @property
    def takes_up_a_run(self) -> bool:
        """Whether the directory held rows of a run when the writer was built."""
        return self._held_rows

    @property
    def num_dropped_rows(self) -> int:
        """Rows that could not be kept; the reader reports them too."""
        return self._pending.num_dropped_rows

    def add_sites(self, kind: SiteKind, names: Iterable[str]) -> None:
        """Every name in `names` is a site of `kind` from now on; known ones keep their place."""
        self._chain.declarations.add_sites(kind, names)

    def add_row(self, step: int, stat: str, values: ArrayLike) -> None:
        """The values of `stat` at `step` will be written with the next flush.

        Args:
            step: the optimizer step.
            stat: a declared statistic.
            values: one value per site of its kind, NaN where not measured. They are copied.

        Raises:
            UnknownNameError: `stat` is not declared.
            UsageError: the number of values is not the number of sites, or the step no step.
        """
        if not self._is_live:
            return
        kind = declared(stat).kind
        row = np.array(values, dtype=np.float64, ndmin=1)
        step = int(step)
        if row.ndim != 1 or not 0 <= step <= MAX_STEP:
            msg = f"add_row({stat!r}) takes a step from 0 to 2^53 and one vector over sites, got"
            raise UsageError(f"{msg} step {step} and an array of shape {row.shape}.")
        self._check_width(stat, kind, len(row))
        self._resume_at(step)
        num_bytes = row.nbytes if kind in ("run", "group") else row.nbytes // 2
        head = self._chain.head.claim(stat, step, num_bytes)
        self._pending.add_row(stat, step, row, head=head)
        if self._pending.is_full:
            self._make_room()

    def add_finding(self, finding: Finding) -> None:
        """`finding` will be written with the next flush."""
        self._add_said(Kind.FINDING, finding.step, finding.to_json())

    def add_event(self, event: Event) -> None:
        """`event` will be written with the next flush."""
        self._add_said(Kind.EVENT, event.step, event.to_json())

    def add_meta(self, meta: Mapping[str, Any]) -> None:
        """`meta` is laid over what the run already says about itself."""
        if self._is_live:
            self._pending.add(Record(Kind.META, to_json(dict(meta))))

    def truncate(self, step: int) -> None:
        """Rows recorded from `step` on so far are dead: the run was rolled back to it."""
        self._truncate(step, resumed=False)

    def flush(self) -> bool:
        """Whether everything recorded so far is with the system; one write for all of it.

        It never raises. While the disk refuses, rows wait in memory and most calls return at
        once.
        """
        if not self._is_live or self._is_flushing:
            return False
        self._is_flushing = True
        try:
            self._pending.seal(self._epoch)
            return not self._outage.waits() and self._write()
        except Exception as error:  # the one boundary: recording must not end a run
            self._outage.failed(f"{self.run_dir} could not be written to", error)
            return False
        finally:
            self._make_room()
            self._is_flushing = False

    def close(self) -> None:
        """Everything that could be written is, the run is marked as ended, the directory free."""
        if not self._is_live:
            return
        self._pending.seal(self._epoch)
        self._pending.add(Record(Kind.END, b"{}"))
        self._outage.over()
        for _ in range(_LAST_ATTEMPTS):
            if self.flush() or self._outage.is_on:
                break
            self._chain.wait()  # for the room that a merge makes
        self._is_closed = True
        self._chain.wait()
        self._chain.close()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # inside

    @property
    def _is_live(self) -> bool:
        return not self._is_closed and os.getpid() == self._pid

    def _open(
        self, run_dir: Path, meta: dict[str, Any], rank: int, if_busy: IfBusy, disk: Disk
    ) -> SegmentChain:
        if run_dir.exists() and not run_dir.is_dir():
            msg = f"a run cannot be recorded in {run_dir}: expected a directory or nothing there,"
            raise StoreError(f"{msg} found a file. Choose another run_dir.")
        read_catalog(run_dir)
        chain = SegmentChain(run_dir, meta, rank, self._limits, disk)
        try:
            chain.claim()
        except RunBusyError as error:
            if if_busy == "error":
                raise
            chain = SegmentChain(_sibling(run_dir, disk), meta, rank, self._limits, disk)
            chain.claim()
            say(f"{error} This run is recorded in {chain.run_dir}.")
        except OSError as error:
            self._outage.failed(f"{run_dir} could not be made", error)
        return chain

    def _check_width(self, stat: str, kind: SiteKind, width: int) -> None:
        declarations = self._chain.declarations
        if kind == "run" and not declarations.num_sites("run"):
            declarations.add_sites("run", [""])
        if not declarations.num_sites(kind):
            declarations.add_sites(kind, (f"{kind}{index}" for index in range(width)))
        expected = declarations.num_sites(kind)
        if width != expected:
            msg = f"{stat} takes one value per {kind} site: expected {expected}, got {width}."
            raise UsageError(f"{msg} Declare new sites with add_sites first.")

    def _add_said(self, kind: Kind, step: int, data: Mapping[str, Any]) -> None:
        if self._is_live:
            self._resume_at(step)
            self._pending.add(encode_said(kind, Said(self._epoch, data)))

    def _resume_at(self, step: int) -> None:
        """The first thing said by a writer that took up a run replaces what stood there."""
        before, self._resumes_before = self._resumes_before, -1
        if 0 <= step <= before:
            self._truncate(step, resumed=True)

    def _truncate(self, step: int, *, resumed: bool) -> None:
        if not self._is_live:
            return
        self._resumes_before = -1
        self._pending.seal(self._epoch)
        self._epoch += 1
        truncation = Truncation(self._epoch, step, resumed)
        self._chain.head.truncate(step)
        self._chain.declarations.truncations.append(truncation)
        self._pending.add(encode_truncation(truncation))

    def _write(self) -> bool:
        self._chain.prepare()
        while self._pending:
            batch = self._pending.batch(self._limits.segment_bytes)
            if not self._chain.append(batch):
                return False
            self._pending.written(batch)
        self._outage.over()
        self._chain.tidy()
        error = self._chain.background_error
        if error is not None:
            self._outage.warn(f"{self.run_dir} could not be kept within its bounds: {error}.")
        return True

    def _make_room(self) -> None:
        if not self._pending.is_full:
            return
        self._pending.seal(self._epoch)
        reason = self._outage.reason or "it was recorded faster than it could be written"
        if self._pending.trim(reason):
            self._outage.warn(
                f"Rows of {self.run_dir} are dropped: {reason}. Training goes on; the run says "
                "how many there were."
            )


def _sibling(run_dir: Path, disk: Disk) -> Path:
    """A new directory inside `run_dir` that no other run has used."""
    for number in range(2, 10_000):
        path = run_dir / f"run-{number}"
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            continue
        disk.make_directory(path)
        return path
    raise RunBusyError(f"{run_dir} holds 10,000 runs already. Choose another run_dir.")
