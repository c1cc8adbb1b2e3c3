"""Runs whose every number is known in advance, and disks that fail on request."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np

from steadytrain.core.history import History
from steadytrain.store.files import Disk
from steadytrain.store.limits import Limits
from steadytrain.store.writer import RunWriter

SITES = ("a.weight", "a.bias", "b.weight")


def number(step: int, site: int = 0) -> float:
    """What the run of these tests measures: exact in float32."""
    return float(step % 4096 * 8 + site)


def add_step(writer: RunWriter, step: int, num_sites: int = len(SITES)) -> None:
    writer.add_row(step, "loss", number(step))
    writer.add_row(step, "grad_norm", [number(step, site) for site in range(num_sites)])


def record(run_dir: Path, steps: range, *, flush_every: int = 1, close: bool = True) -> RunWriter:
    writer = RunWriter(run_dir)
    writer.add_sites("parameter", SITES)
    for step in steps:
        add_step(writer, step)
        if step % flush_every == flush_every - 1:
            writer.flush()
    if close:
        writer.close()
    return writer


def steps_of(history: History, stat: str = "loss") -> list[int]:
    return history.measured(stat)[0].tolist()


def wrong_numbers(history: History) -> list[tuple[str, int]]:
    """Rows that hold anything but what was measured or nothing."""
    wrong: list[tuple[str, int]] = []
    for stat in history.stats:
        names = history.sites(stat)
        steps, values = history.measured(stat)
        for step, row in zip(steps.tolist(), values, strict=True):
            for name, value in zip(names, row.tolist(), strict=True):
                site = SITES.index(name) if name in SITES else 0
                is_lost_name = "(its name is lost)" in name
                if is_lost_name:
                    site = int(name.split()[1])
                if not np.isnan(value) and value != number(step, site):
                    wrong.append((stat, step))
    return wrong


def small(max_bytes: int = 256 << 10, **others: object) -> Limits:
    return Limits(max_bytes=max_bytes, **others)  # type: ignore[arg-type]


class FailingDisk(Disk):
    """Fails calls from the `first`-th on (counted from 0), `count` of them, with one error."""

    def __init__(self, first: int, count: int = 1, number: int = errno.ENOSPC) -> None:
        self.first, self.count, self.number = first, count, number
        self.num_calls = 0
        self.failed: list[str] = []

    def _call(self, name: str) -> None:
        place = self.num_calls
        self.num_calls += 1
        if self.first <= place < self.first + self.count:
            self.failed.append(name)
            self.fail(name)

    def fail(self, name: str) -> None:
        raise OSError(self.number, f"injected into {name}")

    def make_directory(self, path):
        self._call("make_directory")
        super().make_directory(path)

    def create(self, path):
        self._call("create")
        return super().create(path)

    def write(self, descriptor, data):
        place = self.num_calls
        try:
            self._call("write")
        except OSError:
            if place % 2:  # half of the failing writes have written a part already
                super().write(descriptor, data[: len(data) // 2])
            raise
        return super().write(descriptor, data)

    def truncate(self, descriptor, size):
        self._call("truncate")
        super().truncate(descriptor, size)

    def sync(self, descriptor):
        self._call("sync")
        super().sync(descriptor)

    def close(self, descriptor):
        super().close(descriptor)
        self._call("close")

    def num_links(self, descriptor):
        self._call("num_links")
        return super().num_links(descriptor)

    def replace(self, source, target):
        self._call("replace")
        super().replace(source, target)

    def remove(self, path):
        self._call("remove")
        super().remove(path)

    def sync_directory(self, path):
        self._call("sync_directory")
        super().sync_directory(path)
