"""Weights that leap: numbers that are finite, and cannot be the next step of this run.

A step moves weights by about as much as the steps before it. A tensor that is ten times as large as
it ever was, moved thirty times further than any tensor ever did, while the others move as usual,
was not moved by training; and all of them together do not become ten times as large in one step.

## Formula
a, b the norms of a tensor before and after a step, P the largest it ever had, q = |b - a| / sqrt(size),
Q the largest q of any tensor in any step so far. A tensor leaps where b >= growth * P,
q >= outlier * Q and q >= outlier * median(q of this step). All leap where that holds of their common
norm. Nothing leaps in the first `FIRST` steps that move something, nor from exactly zero.

Only norms are looked at: what keeps them (a permutation, a sign) is not seen here; a seal sees it.

## Source
The largest growth seen in the healthy controls of the lab is in `tests/guard/test_leaps.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

GROWTH: Final = 10.0
OUTLIER: Final = 30.0
FIRST: Final = 4
"""Steps before which it is not known how far a step goes."""

_Array = NDArray[np.float64]


class LeapDetector:
    """Judges the norms of some tensors after every step, and remembers the largest.

    Example:
        >>> detector = LeapDetector()
        >>> for step in range(9):
        ...     detector.accept([1.0 + 0.01 * step, 2.0 - 0.01 * step], [4, 9])
        >>> detector.leaps([1.1, 1.9], [4, 9]), detector.leaps([1000.0, 1.9], [4, 9])
        ([], [0])
    """

    def __init__(self) -> None:
        self._sizes: tuple[int, ...] = ()
        self._roots: _Array = np.zeros(0)
        self._norms: _Array = np.zeros(0)
        self._peaks: _Array = np.zeros(0)
        self._farthest = 0.0
        self._total = _Total()
        self._num_moves = 0

    def leaps(self, norms: Sequence[float], sizes: Sequence[int]) -> list[int]:
        """The places of the tensors that leapt; all of them where they did so together."""
        if tuple(sizes) != self._sizes or self._num_moves < FIRST:
            return []
        now = np.asarray(norms, dtype=np.float64)
        if not np.isfinite(now).all():  # another verdict's case
            return []
        moves = np.abs(now - self._norms) / self._roots
        limit = OUTLIER * max(self._farthest, _median(moves))
        leapt = (now >= GROWTH * self._peaks) & (self._peaks > 0.0) & (moves >= limit)
        found = [int(place) for place in np.flatnonzero(leapt)]
        return list(range(len(now))) if not found and self._total.leaps(_length(now)) else found

    def accept(self, norms: Sequence[float], sizes: Sequence[int]) -> None:
        """The step was taken: these are the norms the next one is compared with."""
        now = np.asarray(norms, dtype=np.float64)
        if tuple(sizes) != self._sizes:
            self._begin(now, sizes)
            return
        moves = np.abs(now - self._norms) / self._roots
        farthest = float(np.max(moves, initial=0.0, where=~np.isnan(moves)))
        self._num_moves += farthest > 0.0
        self._farthest = max(self._farthest, farthest)
        self._norms, self._peaks = now, np.fmax(now, self._peaks)
        self._total.accept(_length(now))

    def forget(self, places: Sequence[int]) -> None:
        """Some tensors were written to on purpose: wherever they are next is where they begin."""
        chosen = [place for place in places if place < len(self._norms)]
        self._norms[chosen] = np.nan
        self._total.forget(bool(chosen))

    def rebase(self, norms: Sequence[float], sizes: Sequence[int]) -> None:
        """The tensors were put back to what they once were; what was learnt of them stays."""
        if tuple(sizes) == self._sizes:
            self._norms = np.asarray(norms, dtype=np.float64)
            self._total.put_back(_length(self._norms))

    def _begin(self, now: _Array, sizes: Sequence[int]) -> None:
        self._sizes = tuple(sizes)
        self._roots = np.sqrt(np.maximum(np.asarray(sizes, dtype=np.float64), 1.0))
        self._norms, self._peaks = now, now.copy()
        self._farthest, self._num_moves = 0.0, 0
        self._total.begin(_length(now))


class _Total:
    """The common norm of all tensors, and how far a step ever took it."""

    def __init__(self) -> None:
        self._norm = self._peak = self._farthest = 0.0
        self._is_known = False

    def begin(self, norm: float) -> None:
        self._norm, self._peak, self._is_known = norm, norm, True

    def forget(self, happened: bool) -> None:
        self._is_known = self._is_known and not happened

    def put_back(self, norm: float) -> None:
        self._norm, self._is_known = norm, True

    def accept(self, norm: float) -> None:
        if not self._is_known:
            self._norm, self._peak, self._is_known = norm, max(norm, self._peak), True
            return
        self._farthest = max(self._farthest, abs(norm - self._norm))
        self._norm, self._peak = norm, max(norm, self._peak)

    def leaps(self, norm: float) -> bool:
        far = self._is_known and abs(norm - self._norm) >= OUTLIER * self._farthest
        return far and norm >= GROWTH * self._peak > 0.0


def _median(moves: _Array) -> float:
    """How far the tensors moved usually; 0 where there is only one."""
    known = moves[~np.isnan(moves)]
    return float(np.median(known)) if len(known) > 1 else 0.0


def _length(norms: _Array) -> float:
    largest = float(np.max(norms, initial=0.0))
    return largest * float(np.linalg.norm(norms / largest)) if largest > 0.0 else 0.0
