"""What changes with depth: which sites are comparable, and whether a quantity falls or grows.

Only weight matrices are compared with each other. A history holds no shapes, but the norm over
the root mean square is the root of the number of elements, and a normalisation's scale has as
many elements as the bias beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from steadytrain.core.columns import Floats
from steadytrain.core.history import History
from steadytrain.core.robust import median

MAX_POINTS: Final = 32
"""Points a depth profile is reduced to; each is the median of its neighbours."""

MIN_POINTS: Final = 5
"""Matrices below which there is no depth to speak of."""


@lru_cache(maxsize=16)
def weight_sites(names: tuple[str, ...]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which sites are not biases, and for each the index of the bias beside it, or -1."""
    place = {name: index for index, name in enumerate(names)}
    weights = np.ones(len(names), dtype=np.bool_)
    bias = np.full(len(names), -1, dtype=np.int64)
    for index, name in enumerate(names):
        module, _, own = name.rpartition(".")
        weights[index] = "bias" not in own
        beside = own.replace("weight", "bias")
        bias[index] = place.get(f"{module}.{beside}" if module else beside, -1)
    return weights, bias


@lru_cache(maxsize=16)
def leaf_sites(names: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which modules contain no other site: a block repeats what its last layer says."""
    inner = {name[:at] for name in names for at, sign in enumerate(name) if sign == "."}
    return np.array([name not in inner and name != "" for name in names], dtype=np.bool_)


def matrices(names: tuple[str, ...], norm: Floats, rms: Floats) -> NDArray[np.bool_]:
    """Which measured sites are weight matrices (convolution kernels among them).

    Args:
        names: the parameter sites.
        norm: gradient norm of each, NaN where not measured: [..., sites].
        rms: gradient root mean square of each: [..., sites].
    """
    weights, bias = weight_sites(names)
    size = np.where(norm > 0, norm / np.where(rms > 0, rms, np.nan), np.nan) ** 2
    beside = np.where(bias >= 0, size[..., bias], np.nan)
    largest = np.where(weights & np.isfinite(size), size, 0.0).max(axis=-1, initial=0.0)
    unknown = 1.5 * np.sqrt(largest)[..., None]
    smallest = np.where(np.isfinite(beside), 1.5 * beside, unknown)
    return weights & ~(size < smallest) & np.isfinite(rms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How a positive quantity changes along the depth of a network, in order of the sites."""

    factor: float
    """The last value over the first, along the robust straight line in log space."""
    order: float
    """Kendall's rank correlation with depth: 1 rises everywhere, -1 falls everywhere."""
    steepest: float
    """The largest share of the whole change that a single step carries."""
    points: int

    def is_geometric(self, min_order: float) -> bool:
        """Whether the quantity is multiplied from layer to layer, not cut off at one place."""
        return self.points >= MIN_POINTS and abs(self.order) >= min_order and self.steepest <= 0.6


def profile(values: Floats) -> Profile:
    """The `Profile` of positive values in order of depth; others are left out."""
    logs = np.log(values[np.isfinite(values) & (values > 0)])
    if len(logs) > MAX_POINTS:
        logs = np.array([np.median(part) for part in np.array_split(logs, MAX_POINTS)])
    count = len(logs)
    if count < MIN_POINTS:
        return Profile(factor=1.0, order=0.0, steepest=1.0, points=count)
    first, last = np.triu_indices(count, k=1)
    rise = logs[last] - logs[first]
    whole = float(logs[-1] - logs[0])
    steps = np.diff(logs) * np.sign(whole)
    return Profile(
        factor=float(np.exp(np.median(rise / (last - first)) * (count - 1))),
        order=float(np.sign(rise).mean()),
        steepest=float(steps.max() / abs(whole)) if whole else 1.0,
        points=count,
    )


def tenth_rows(history: History, stat: str) -> Iterator[tuple[int, Floats]]:
    """The rows to judge that begin another ten steps."""
    start = history.fresh - history.fresh % 10
    rows = history.between(stat, start, history.step + 1)
    last = -1
    for row in np.flatnonzero(np.isfinite(rows).any(axis=1)):
        step = start + int(row)
        if step // 10 > last and step >= history.fresh:
            yield step, rows[row]
        last = step // 10


def comparable(history: History, stat: str, step: int, row: Floats) -> np.ndarray:
    """Which measured sites may be compared over depth: matrices, or innermost modules."""
    names = history.sites(stat)
    if stat == "grad_rms":
        return matrices(names, history.between("grad_norm", step, step + 1)[0], row)
    return leaf_sites(names) & np.isfinite(row)


def matrix_medians(history: History, stat: str, start: int, stop: int) -> Floats:
    """The median of `stat` over the weight matrices, for each step: NaN where not measured.

    Without gradients on a step, every site that is not a bias stands for a matrix.
    """
    table = history.between(stat, start, stop)
    if not table.size or stat not in history:
        return np.full(len(table), np.nan)
    names = history.sites(stat)
    norm = history.between("grad_norm", start, stop)
    rms = history.between("grad_rms", start, stop)
    known = np.isfinite(rms).any(axis=-1, keepdims=True)
    chosen = np.where(known, matrices(names, norm, rms), weight_sites(names)[0])
    return median(np.where(chosen, table, np.nan))
