"""How many sites a statement holds for, and which: the words every rule uses for it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_NAMED: Final = 8
"""Sites named in a finding's evidence; the others are counted."""

Mask = NDArray[np.bool_]


def extent(hit: Mask, measured: Mask, noun: str) -> str:
    """`12 of 14 matrices`: those hit among those measured."""
    return f"{int(hit.sum())} of {int(measured.sum())} {noun}"


def named(names: tuple[str, ...], hit: Mask, order: NDArray[np.int64] | None = None) -> list[str]:
    """The first few names that were hit, in the order of the sites or in `order`."""
    at = np.flatnonzero(hit) if order is None else order[hit[order]]
    return [names[index] for index in at[:MAX_NAMED]]


def number(value: float) -> str:
    """A measurement as people write it: three digits."""
    return f"{value:.3g}"
