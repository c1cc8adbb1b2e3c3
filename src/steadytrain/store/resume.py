"""What a writer must know of the run it takes up."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

from steadytrain.core.columns import HEAD_ROWS
from steadytrain.store.catalog import Catalog, read_catalog
from steadytrain.store.records import Truncation
from steadytrain.store.scan import Segment, read_segment
from steadytrain.store.segments import SegmentInfo, segment_path
from steadytrain.store.truncations import Truncations


class HeadRows:
    """Which rows are among the first `HEAD_ROWS` of their statistic and are never thinned.

    Args:
        max_bytes: what they may take together; later rows are then no longer protected.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._num_bytes = 0
        self._steps: dict[str, list[int]] = {}
        self._read: dict[str, list[tuple[int, int]]] = {}

    def claim(self, stat: str, step: int, num_bytes: int) -> bool:
        """Whether a new row of `stat` is one of them; it is counted if so."""
        steps = self._steps.setdefault(stat, [])
        if steps and step == steps[-1]:
            return True
        if len(steps) >= HEAD_ROWS or self._num_bytes + num_bytes > self.max_bytes:
            return False
        steps.append(step)
        self._num_bytes += num_bytes
        return True

    def truncate(self, step: int) -> None:
        """Rows from `step` on are gone; as many new ones take their place."""
        for steps in self._steps.values():
            steps[:] = [known for known in steps if known < step]

    def take(self, segment: Segment) -> None:
        """The head rows of a segment that was read back are counted."""
        for block in segment.blocks:
            if block.head:
                rows = self._read.setdefault(block.stat, [])
                rows += [(int(step), block.epoch) for step in block.steps]
                self._num_bytes += block.values.nbytes

    def settle(self, truncations: Truncations) -> None:
        """Of the rows that were read back, those count that are alive."""
        for stat, rows in self._read.items():
            alive = {step for step, epoch in rows if step < truncations.limit(epoch)}
            self._steps[stat] = sorted(alive)
        self._read.clear()


@dataclass(slots=True)
class Survey:
    """The state of a run directory as a writer finds it."""

    catalog: Catalog
    segments: list[SegmentInfo] = field(default_factory=list[SegmentInfo])
    truncations: dict[int, Truncation] = field(default_factory=dict[int, Truncation])
    epoch: int = 0
    last_step: int = -1

    @property
    def is_empty(self) -> bool:
        """Nothing was recorded yet."""
        return not self.catalog.numbers

    @property
    def next_number(self) -> int:
        numbers = self.catalog.numbers + self.catalog.superseded
        return max(numbers, default=0) + 1

    def take(self, segment: Segment) -> None:
        """What `segment` adds to the state."""
        last_step = segment.last_step
        place = segment.number, segment.first
        self.segments.append(SegmentInfo(*place, segment.num_bytes, segment.level, last_step))
        self.truncations.update({t.epoch: t for t in segment.truncations})
        epochs = [block.epoch for block in segment.blocks]
        self.epoch = max([self.epoch, *epochs, *self.truncations])
        self.last_step = max(self.last_step, last_step)


def survey(run_dir: Path, head: HeadRows) -> Survey:
    """The state of the run in `run_dir`; reads all of it once, about a second per gigabyte.

    Raises:
        RunVersionError: it was written by another schema version.
    """
    found = Survey(read_catalog(run_dir))
    for number in found.catalog.numbers:
        with contextlib.suppress(OSError):
            segment = read_segment(segment_path(run_dir, number), number, found.catalog.run_id)
            if not segment.is_foreign:
                found.take(segment)
                head.take(segment)
    head.settle(Truncations(found.truncations.values()))
    return found
