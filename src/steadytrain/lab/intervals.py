"""Confidence intervals of a mean over a few seeds, by Student's t."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from steadytrain.core.errors import UsageError

LEVEL: Final = 0.95
"""Confidence of every interval the lab prints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean over `n` seeds and how far the true one may be from it."""

    mean: float
    half_width: float
    """NaN for a single seed, which says nothing about the spread."""
    n: int

    @property
    def low(self) -> float:
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        return self.mean + self.half_width

    @property
    def excludes_zero(self) -> bool:
        """Whether the mean is told apart from 0; never so for a single seed."""
        return self.low > 0 or self.high < 0

    @property
    def text(self) -> str:
        """Mean and half width, to the second digit that the width leaves meaning to."""
        if math.isnan(self.half_width):
            return f"{self.mean:.3g}"
        if self.half_width == 0 or math.isinf(self.half_width):
            return f"{self.mean:.4g} ± {self.half_width:.2g}"
        needed = 1 - math.floor(math.log10(self.half_width))
        most = 4 - math.floor(math.log10(abs(self.mean))) if self.mean else needed
        digits = max(0, min(needed, most))
        return f"{self.mean:.{digits}f} ± {self.half_width:.{digits}f}"

    def __str__(self) -> str:
        return f"{self.text} (n={self.n})"


def interval(values: Sequence[float]) -> Interval:
    """The mean of `values` with its 95% confidence interval by Student's t.

    Raises:
        UsageError: there is no value, or one that is not finite: a mean over diverged runs
            would say something about the others only.

    Source: Student 1908, The Probable Error of a Mean.
    """
    if not values or not np.isfinite(values).all():
        msg = f"an interval needs finite values of at least one seed, got {list(values)}."
        raise UsageError(f"{msg} Count diverged runs instead of averaging them.")
    n = len(values)
    mean = float(np.mean(values))
    if n == 1:
        return Interval(mean=mean, half_width=math.nan, n=1)
    error = float(np.std(values, ddof=1)) / math.sqrt(n)
    return Interval(mean=mean, half_width=t_quantile(n - 1) * error, n=n)


def difference(first: Sequence[float], second: Sequence[float]) -> Interval:
    """The mean of `first - second`, paired seed by seed: both saw the same data order."""
    return interval([a - b for a, b in zip(first, second, strict=True)])


@cache
def t_quantile(freedom: int) -> float:
    """The two-sided 95% point of Student's t with `freedom` degrees of freedom.

    Source: Abramowitz & Stegun 1964, 26.7.3 and 26.7.4, inverted by bisection.
    """
    low, high = 0.0, 1e3
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _central_mass(middle, freedom) < LEVEL else (low, middle)
    return high


def _central_mass(t: float, freedom: int) -> float:
    """Probability that |T| stays below `t`."""
    angle = math.atan(t / math.sqrt(freedom))
    cosine = math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= (k - 1) / k * cosine**2
        total += term
    if odd:
        return 2 / math.pi * (angle + math.sin(angle) * total)
    return math.sin(angle) * total
