"""What the learning rate is doing: rules about small steps must know a schedule from a fault."""

from __future__ import annotations

from typing import Final

import numpy as np

from steadytrain.core.columns import Floats
from steadytrain.core.history import History

STEADY: Final = 1.2
"""Factor between the highest and the lowest rate of a window that still counts as one rate."""


def rates(history: History, step: int, window: int) -> Floats:
    """The highest learning rate over the groups, at the measured steps of the window."""
    table = history.between("learning_rate", step - window, step + 1)
    highest = np.where(np.isfinite(table), table, -np.inf).max(axis=1, initial=-np.inf)
    return highest[np.isfinite(highest)]


def is_rising(history: History, step: int, window: int) -> bool:
    """Whether the rate is warming up: a good deal higher now than at the window's start."""
    seen = rates(history, step, window)
    return len(seen) > 1 and not seen[-1] <= STEADY * seen[0]


def is_steady(history: History, step: int, window: int) -> bool:
    """Whether the rate neither warms up, decays nor is zero; True where none is known."""
    seen = rates(history, step, window)
    return not len(seen) or bool(seen.min() > 0 and seen.max() <= STEADY * seen.min())
