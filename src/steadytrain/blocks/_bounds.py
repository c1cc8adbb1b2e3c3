"""The limits of the numbers a block is built from, checked when it is built."""

from __future__ import annotations

import math
from typing import SupportsIndex

from steadytrain.core.errors import UsageError


def whole(name: str, value: SupportsIndex, low: int = 1) -> int:
    """`value` as an int, if it is a whole number from `low` on.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(value, bool) and hasattr(value, "__index__") and value.__index__() >= low:
        return value.__index__()
    msg = f"{name} must be a whole number from {low} on, got {value!r}"
    raise UsageError(f"{msg}: give an int of at least {low}.")


def share(name: str, value: float) -> float:
    """`value`, if it is a number from 0 to 1.

    Raises:
        UsageError: it is not, or it is NaN.
    """
    if 0.0 <= value <= 1.0:
        return float(value)
    raise UsageError(f"{name} must be a share from 0 to 1, got {value}: 0.1 is a tenth.")


def positive(name: str, value: float | None) -> float:
    """`value`, if it is a finite number above zero.

    Raises:
        UsageError: it is not, or it is NaN or None.
    """
    if value is not None and 0.0 < value < math.inf:
        return float(value)
    raise UsageError(
        f"{name} must be a finite number above 0, got {value}: 1e-5 is a usual small one."
    )


def finite(name: str, value: float) -> float:
    """`value`, if it is neither NaN nor infinite.

    Raises:
        UsageError: it is one of them.
    """
    if math.isfinite(value):
        return float(value)
    raise UsageError(f"{name} must be a finite number, got {value}: 0, 1 or 0.1 are usual ones.")
