"""Where measurements go: the history, the rules, the disk. One transfer per flush."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from copy import deepcopy
from os import PathLike
from pathlib import Path
from time import monotonic
from typing import Any, Final

import numpy as np
from torch import Tensor

from steadytrain.core.action import Event
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.core.rule import Rule
from steadytrain.engine import HistoryView, Judge
from steadytrain.probes import memory
from steadytrain.store.reader import read_run
from steadytrain.store.writer import RunWriter
from steadytrain.watching.columns import SiteColumns
from steadytrain.watching.rows import Entry, Table, Transfer
from steadytrain.watching.sites import ParameterSites
from steadytrain.watching.writing import open_run

LOG: Final = logging.getLogger("steadytrain")

MAX_FLUSH_SECONDS: Final = 1.0
"""A flush comes at the latest with the first row after this time."""

JUDGING_SHARE: Final = 0.005
"""Share of a run's time that judging may take: it waits where steps are fast, and sees as much."""

MAX_UNJUDGED: Final = 500
"""Rows after which judging no longer waits."""

BROKEN_PROBE: Final = "broken-probe"


class Outlet:
    """Gathers entries and delivers them.

    Args:
        sites: every parameter.
        run_dir: where to write, or None to keep the run in memory.
        meta: what describes the run.
        flush_every: rows between two flushes.
        rules: rules to judge with; every known one if None.
        first_step: number of the first row.
        resume: whether `run_dir` may hold a run that is continued from `first_step`.

    Raises:
        UsageError: `run_dir` holds a run and `resume` is False.
        RunBusyError: another process is writing in it.
        RunVersionError: it was written by another schema version.
    """

    def __init__(
        self,
        sites: ParameterSites,
        *,
        run_dir: str | PathLike[str] | None,
        meta: dict[str, Any],
        flush_every: int,
        rules: Sequence[Rule] | None,
        first_step: int = 0,
        resume: bool = False,
    ) -> None:
        self._sites = sites
        self._flush_every = flush_every
        self.history = History({"parameter": sites.names})
        self.findings: list[Finding] = []
        self.closed = False
        self._judge = Judge(rules)
        self._judged = first_step
        self._judge_after = 0.0
        self._writer = None
        if run_dir is not None:
            self._writer = open_run(Path(run_dir), resume=resume)
            self._take_up(self._writer, first_step)
            self._writer.add_meta(meta)
        self._columns = SiteColumns(self.history, self._writer)
        self._sizes = np.empty(0)
        self._pending: list[Entry] = []
        self._on_the_way: deque[Transfer] = deque()
        self._rows = -1
        self._complete = first_step
        self._last_flush = monotonic()
        self._muted: set[str] = set()

    def _take_up(self, writer: RunWriter, first_step: int) -> None:
        """What the run measured and found before `first_step` is at hand again."""
        if not writer.takes_up_a_run:
            return
        saved = read_run(writer.run_dir)
        saved.history.truncate(first_step)
        writer.truncate(first_step)
        known = saved.history.sites_of("parameter")
        if first_step and known == tuple(self._sites.names):
            saved.history.capacity = self.history.capacity
            self.history = saved.history
            self._judge.update(self.history)
        self.findings = [f for f in saved.findings if f.step < first_step]

    @property
    def run_dir(self) -> Path | None:
        """The directory the run is written to, or None."""
        return None if self._writer is None else Path(self._writer.run_dir)

    def record(
        self,
        step: int,
        stat: str | tuple[str, ...],
        value: Tensor | float,
        sites: Sequence[Any] | None = None,
    ) -> None:
        """A measurement waits for the next flush."""
        if not self.closed:
            self._pending.append(Entry(step, stat, value, sites))

    def rows_complete(self, until: int) -> set[int]:
        """No measurement of the rows before `until` is to come: flush if it is time.

        Returns:
            The steps that turned out to have had non-finite gradients.
        """
        self._complete = until
        self._rows += 1
        late = monotonic() - self._last_flush > MAX_FLUSH_SECONDS
        if self._rows >= self._flush_every or (late and self._rows > 0):
            return self.flush()
        return set()

    def flush(self, *, everything: bool = False) -> set[int]:
        """What waits is in the history, judged, and on disk; from a device, what has arrived.

        Args:
            everything: wait for what is still on its way.

        Returns:
            The steps that turned out to have had non-finite gradients.
        """
        entries, self._pending = self._pending, []
        self._rows, self._last_flush = 0, monotonic()
        if entries:
            self._measure_memory(entries)
            self._on_the_way.append(Transfer(entries))
        bad_steps: set[int] = set()
        while self._on_the_way and (everything or self._on_the_way[0].is_here):
            bad_steps |= self._deliver(self._on_the_way.popleft())
        if everything or bad_steps or self._is_time_to_judge():
            self._judge_rows()
        self._write()
        return bad_steps

    def _deliver(self, transfer: Transfer) -> set[int]:
        self._columns("parameter", self._sites.names[len(self._sizes) :])
        self._sizes = self._sites.sizes()
        table = Table(transfer, self._sizes, self._columns)
        for block in table.blocks():
            self.history.extend(block.stat, block.steps, block.values)
            if self._writer is not None:
                for step, values in zip(block.steps.tolist(), block.values, strict=True):
                    self._writer.add_row(step, block.stat, values)
        return table.bad_steps

    def _is_time_to_judge(self) -> bool:
        """What the rules say does not depend on when they are asked, only how soon it is said."""
        return monotonic() >= self._judge_after or self._complete - self._judged >= MAX_UNJUDGED

    def _judge_rows(self) -> None:
        began = monotonic()
        for finding in self._judge.update(self._complete_rows()):
            self._found(finding)
        ended = monotonic()
        self._judged, self._judge_after = self._complete, ended + (ended - began) / JUDGING_SHARE

    def _complete_rows(self) -> HistoryView:
        """What can be judged for good: a row that is still open may be flushed, not judged."""
        start, stop = self.history.start, min(self._complete, self.history.step + 1)
        return HistoryView(self.history, start, start, stop)

    def all_findings(self) -> list[Finding]:
        """What was found, and what the open row shows as far as it goes; that is not kept."""
        return [*self.findings, *deepcopy(self._judge).update(self.history)]

    def add_event(self, event: Event) -> None:
        """The event is on disk with the next flush."""
        if self._writer is not None:
            self._writer.add_event(event)

    def close(self) -> None:
        """Nothing more will come: the last row is judged, and the files are closed."""
        self.closed = True
        try:
            for finding in self._judge.update(self.history):
                self._found(finding)
        finally:
            if self._writer is not None:
                self._writer.close()

    def report_broken(self, part: str, error: Exception, step: int) -> None:
        """A part of the watch broke: said once, as a finding and in the log."""
        if part in self._muted:
            return
        self._muted.add(part)
        message = (
            f"The watch's {part!r} raised {type(error).__name__}: {error}. Training is not "
            "affected; what this part measures is missing from here on. Please report it."
        )
        LOG.warning(message, exc_info=error)
        self._found(
            Finding(
                rule=BROKEN_PROBE,
                code="LOP001",
                severity=Severity.NOTE,
                step=step,
                message=message,
                evidence={"part": part},
            )
        )

    def _found(self, finding: Finding) -> None:
        self.findings.append(finding)
        if self._writer is not None:
            self._writer.add_finding(finding)

    def _write(self) -> None:
        if self._writer is None:
            return
        try:
            self._writer.flush()
        except Warning as warning:  # the user turned warnings into errors: not inside a step
            LOG.warning(str(warning))

    def _measure_memory(self, entries: list[Entry]) -> None:
        step = max(entry.step for entry in entries)
        entries.append(Entry(step, "memory_bytes", memory.resident_bytes()))
        if not np.isnan(device := memory.device_bytes()):
            entries.append(Entry(step, "device_memory_bytes", device))
