"""What is kept when a run outgrows its directory: everything recent, ever fewer old rows.

When the segments take more than their share, the two neighbours that were thinned least (the
oldest such pair) become one segment in which each statistic keeps every second of its rows. A row
is kept or not, never averaged: what is read back was measured. The newest `full_steps` steps are
left whole as long as there is anything older to thin, the first 64 rows of a statistic always.
So the density of old rows halves each time the run doubles in length, and reading says where.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from steadytrain.core.columns import Steps
from steadytrain.store.limits import Limits
from steadytrain.store.records import RowBlock
from steadytrain.store.segments import SegmentInfo
from steadytrain.store.truncations import Truncations

MAX_SEGMENTS: Final = 64
"""Closed segments at once; many short sessions are merged without losing a row."""


def next_pair(segments: Sequence[SegmentInfo], limits: Limits) -> int | None:
    """The place of the first of two neighbours to merge; None when all is within bounds."""
    num_bytes = sum(segment.num_bytes for segment in segments)
    is_within = num_bytes <= limits.merge_above_bytes and len(segments) <= MAX_SEGMENTS
    if is_within or len(segments) < 2:
        return None
    newest = max(segment.last_step for segment in segments)
    pairs = range(len(segments) - 1)
    old = [at for at in pairs if segments[at + 1].last_step <= newest - limits.full_steps]
    return min(old or pairs, key=lambda at: (merged_level(segments, at), at))


def merged_level(segments: Sequence[SegmentInfo], at: int) -> int:
    """The level that both segments of a pair have reached."""
    return max(segments[at].level, segments[at + 1].level)


def thin(blocks: Sequence[RowBlock], stride: int, truncations: Truncations) -> list[RowBlock]:
    """The blocks without dead rows, and with every `stride`-th row of a statistic.

    Steps are counted, not rows: two rows of one step stay together. Head rows are not touched.
    """
    kept = {stat: steps[::stride] for stat, steps in _steps(blocks, truncations).items()}
    thinned: list[RowBlock] = []
    for block in blocks:
        mask = block.steps < truncations.limit(block.epoch)
        if stride > 1 and not block.head:
            mask &= np.isin(block.steps, kept[block.stat])
        if mask.any():
            values = block.values if mask.all() else block.values[mask]
            thinned.append(RowBlock(block.stat, block.epoch, block.steps[mask], values, block.head))
    return thinned


def _steps(blocks: Sequence[RowBlock], truncations: Truncations) -> dict[str, Steps]:
    """The steps of each statistic's living rows outside the head, ascending, each once."""
    found: dict[str, list[Steps]] = {}
    for block in blocks:
        if not block.head:
            alive = block.steps[block.steps < truncations.limit(block.epoch)]
            found.setdefault(block.stat, []).append(alive)
    return {stat: np.unique(np.concatenate(steps)) for stat, steps in found.items()}
