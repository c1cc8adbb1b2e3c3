"""Blocks of rows put together into fewer and longer ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from steadytrain.store.records import RowBlock


def joined(blocks: Iterable[RowBlock], max_bytes: int) -> list[RowBlock]:
    """The same rows, oldest epoch first, in blocks of one statistic and at most `max_bytes`.

    Within an epoch the rows of a statistic stay in the order they were recorded in.
    """
    groups: dict[tuple[int, bool, str, int, str], list[RowBlock]] = {}
    for block in blocks:
        width, dtype = block.values.shape[1], block.values.dtype.str
        groups.setdefault((block.epoch, not block.head, block.stat, width, dtype), []).append(block)
    longer: list[RowBlock] = []
    for key in sorted(groups, key=lambda key: key[:2]):
        epoch, is_not_head, stat, width, _ = key
        steps = np.concatenate([block.steps for block in groups[key]])
        values = np.concatenate([block.values for block in groups[key]])
        per_block = max(1, max_bytes // (width * values.dtype.itemsize + 8))
        for start in range(0, len(steps), per_block):
            part = slice(start, start + per_block)
            longer.append(RowBlock(stat, epoch, steps[part], values[part], not is_not_head))
    return longer
