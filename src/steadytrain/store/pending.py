"""Rows and records on their way to the disk: bounded, oldest rows dropped first, drops counted."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from steadytrain.core.columns import Floats, as_float32
from steadytrain.core.stats import STATS
from steadytrain.store.framing import MAX_PAYLOAD
from steadytrain.store.records import (
    BLOCK_BYTES,
    Dropped,
    Record,
    RowBlock,
    encode_dropped,
    encode_rows,
)

ROW_OVERHEAD: Final = 128
"""What a waiting row or record costs beside its numbers, roughly."""

_Key = tuple[str, bool, int]


class Pending:
    """What was recorded and is not on disk yet.

    Rows of one statistic that wait together become one block, so a flush of ten steps writes as
    many frames as a flush of one.

    Args:
        max_bytes: memory that may wait. Beyond it the oldest rows are dropped.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.num_bytes = 0
        self.num_dropped_rows = 0
        self._rows: dict[_Key, list[tuple[int, Floats]]] = {}
        self._records: deque[Record] = deque()
        self._dropped: Dropped | None = None

    def __bool__(self) -> bool:
        return bool(self._rows or self._records or self._dropped)

    @property
    def is_full(self) -> bool:
        return self.num_bytes > self.max_bytes

    def add_row(self, stat: str, step: int, row: Floats, *, head: bool) -> None:
        """`row` waits; it must not be changed any more."""
        self._rows.setdefault((stat, head, len(row)), []).append((step, row))
        self.num_bytes += row.nbytes + ROW_OVERHEAD

    def add(self, record: Record) -> None:
        """`record` waits."""
        self._records.append(record)
        self.num_bytes += _cost(record)

    def seal(self, epoch: int) -> None:
        """The waiting rows are records; what is recorded from now on comes after them."""
        if not self._rows:
            return
        rows, self._rows = self._rows, {}
        waiting = sum(r.nbytes + ROW_OVERHEAD for group in rows.values() for _, r in group)
        self.num_bytes -= waiting
        for (stat, head, width), steps, values in _narrowed(rows):
            per_block = max(1, BLOCK_BYTES // max(1, width * values.dtype.itemsize + 8))
            for start in range(0, len(steps), per_block):
                part = slice(start, start + per_block)
                block = RowBlock(stat, epoch, steps[part], values[part], head)
                self._add_block(encode_rows(block))

    def batch(self, max_bytes: int) -> list[Record]:
        """The next records to write: at least one, then as many as fit into `max_bytes`."""
        batch = [encode_dropped(self._dropped)] if self._dropped else []
        size = 0
        for record in self._records:
            size += _cost(record)
            if batch and size > max_bytes:
                break
            batch.append(record)
        return batch

    def written(self, batch: list[Record]) -> None:
        """`batch` is on disk."""
        num_records = len(batch)
        if self._dropped:
            self._dropped = None
            num_records -= 1
        for _ in range(num_records):
            self.num_bytes -= _cost(self._records.popleft())

    def trim(self, reason: str) -> int:
        """At most `max_bytes` wait; how many rows were dropped for that.

        The oldest rows go first, and findings and events only when there are no rows left.
        """
        if not self.is_full:
            return 0
        before = self.num_dropped_rows
        for only_rows in (True, False):
            kept: deque[Record] = deque()
            for record in self._records:
                if self.is_full and (record.num_rows or not only_rows):
                    self.num_bytes -= _cost(record)
                    self._count(record, reason)
                else:
                    kept.append(record)
            self._records = kept
        return self.num_dropped_rows - before

    def _add_block(self, record: Record) -> None:
        if len(record.payload) > MAX_PAYLOAD:
            self._count(record, f"a row is longer than {MAX_PAYLOAD:,} bytes")
        else:
            self.add(record)

    def _count(self, record: Record, reason: str) -> None:
        self.num_dropped_rows += record.num_rows
        known = self._dropped
        if known is None:
            first, last = record.first_step, record.last_step
            self._dropped = Dropped(record.num_rows, first, last, reason)
            return
        self._dropped = Dropped(
            known.num_rows + record.num_rows,
            min(known.first_step, record.first_step),
            max(known.last_step, record.last_step),
            known.reason,
        )


def _cost(record: Record) -> int:
    return len(record.payload) + ROW_OVERHEAD


def _narrowed(
    rows: dict[_Key, list[tuple[int, Floats]]],
) -> list[tuple[_Key, NDArray[np.int64], NDArray[np.floating]]]:
    """Steps and [rows, sites] of each group, as wide as the history keeps them.

    All float32 groups are narrowed in one call: with a flush per step that is most of the cost.
    """
    narrow = {key for key in rows if STATS[key[0]].kind not in ("run", "group")}
    vectors = [row for key in rows if key in narrow for _, row in rows[key]]
    flat = as_float32(np.concatenate(vectors)) if vectors else np.empty(0, dtype=np.float32)
    groups: list[tuple[_Key, NDArray[np.int64], NDArray[np.floating]]] = []
    at = 0
    for key, group in rows.items():
        steps = np.array([step for step, _ in group], dtype=np.int64)
        shape = len(group), key[2]
        if key in narrow:
            stop = at + shape[0] * shape[1]
            groups.append((key, steps, flat[at:stop].reshape(shape)))
            at = stop
        else:
            groups.append((key, steps, np.concatenate([row for _, row in group]).reshape(shape)))
    return groups
