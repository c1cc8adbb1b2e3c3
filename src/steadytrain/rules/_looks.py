"""What holds at several looks in a row: for statistics that are measured on sampled steps only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from steadytrain.core.columns import Floats
from steadytrain.core.history import History
from steadytrain.rules._extent import Mask

REACH: Final = 200
"""Steps within which the looks must lie."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at which a statement has held for some looks on end."""

    step: int
    values: Floats
    """The statistic at every site, NaN where not measured."""
    hit: Mask
    """The sites where it has held throughout."""

    @property
    def measured(self) -> Mask:
        """The sites that were measured."""
        return np.isfinite(self.values)

    @property
    def first(self) -> int:
        """The first site in order where it holds."""
        return int(np.argmax(self.hit))

    @property
    def worst(self) -> int:
        """The site with the largest value among those where it holds."""
        return int(np.argmax(np.where(self.hit, self.values, -np.inf)))


def lasting(
    history: History, stat: str, looks: int, holds: Callable[[Floats], Mask]
) -> Iterator[Look]:
    """The looks to judge at which `holds` is true at some site, as at the looks before it.

    Args:
        history: what is judged.
        stat: a statistic with sites.
        looks: how many in a row, the judged one included.
        holds: [rows, sites] to truth values; NaN holds nowhere.
    """
    steps, rows = history.measured(stat)
    seen = np.isfinite(rows).any(axis=1)
    steps, rows = steps[seen], rows[seen]
    if len(steps) < looks:
        return
    newest = int(np.searchsorted(steps, history.fresh))
    needed = max(0, newest - looks + 1)
    steps, rows = steps[needed:], rows[needed:]
    if len(steps) < looks:
        return
    held = holds(rows) & np.isfinite(rows)
    for at in np.flatnonzero(steps >= history.fresh):
        start = int(at) - looks + 1
        if start < 0 or steps[at] - steps[start] > REACH:
            continue
        hit = np.asarray(held[start : at + 1].all(axis=0))
        if hit.any():
            yield Look(step=int(steps[at]), values=rows[at], hit=hit)
