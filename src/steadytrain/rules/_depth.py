"""What changes with depth: which sites are comparable, and whether a quantity falls or grows.

Only weight matrices are compared with each other. A history holds no shapes, but the norm over
the root mean square is the root of the number of elements, and a normalisation's scale has as
many elements as the bias beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from steadytrain.core.columns import Floats
from steadytrain.core.history import History
from steadytrain.core.robust import Rows

MAX_POINTS: Final = 32
"""Points a depth profile is reduced to; each is the median of its neighbours."""

MIN_POINTS: Final = 5
"""Matrices below which there is no depth to speak of."""

SAMPLE: Final = 512
"""Sites of a large network that a median over sites is taken of, evenly spread."""


@lru_cache(maxsize=16)
def weight_sites(names: tuple[str, ...]) -> tuple[NDArray[np.bool_], Rows]:
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
def containers(names: tuple[str, ...]) -> tuple[Rows, Rows]:
    """Pairs of sites: one that stands inside, and one that contains it."""
    place = {name: index for index, name in enumerate(names)}
    inside: list[int] = []
    around: list[int] = []
    for index, name in enumerate(names):
        outer = [name[:at] for at, sign in enumerate(name) if sign == "."]
        known = [place[part] for part in ["", *outer] if part in place and part != name]
        inside += [index] * len(known)
        around += known
    return np.array(inside, dtype=np.int64), np.array(around, dtype=np.int64)


def comparable(history: History, stat: str, step: int, row: Floats) -> Rows:
    """The measured sites that may be compared over depth: matrices, or innermost modules."""
    names = history.sites(stat)
    if stat == "grad_rms":
        return matrices(names, history.between("grad_norm", step, step + 1)[0], row)
    inside, around = containers(names)
    leaf = np.isfinite(row)
    leaf[around[np.isfinite(row[inside])]] = False  # a block repeats what its last layer says
    return np.flatnonzero(leaf)


def matrices(names: tuple[str, ...], norm: Floats, rms: Floats) -> Rows:
    """The measured sites that are weight matrices, convolution kernels among them.

    Args:
        names: the parameter sites.
        norm: gradient norm of each, NaN where not measured.
        rms: gradient root mean square of each.
    """
    weights, bias = weight_sites(names)
    chosen = np.flatnonzero(weights & np.isfinite(rms))
    size = _size(norm[chosen], rms[chosen])
    known = size[np.isfinite(size)]
    own = bias[chosen]
    beside = np.where(own >= 0, _size(norm[own], rms[own]), np.nan)
    unknown = 1.5 * np.sqrt(known.max()) if len(known) else np.nan
    smallest = np.where(np.isfinite(beside), 1.5 * beside, unknown)
    return chosen[~(size < smallest)]


def _size(norm: Floats, rms: Floats) -> Floats:
    """The number of elements, NaN where the gradient does not tell."""
    return np.where((norm > 0) & (rms > 0), norm / np.where(rms > 0, rms, 1.0), np.nan) ** 2


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


def profile(values: Floats, worth: float) -> Profile | None:
    """The `Profile` of positive values in order of depth; others are left out.

    None where there is no depth, or where the ends differ by less than the root of `worth`,
    a factor: most networks are done with here.
    """
    values = values[np.isfinite(values) & (values > 0)]
    logs = np.log(_thinned(values))
    count = len(logs)
    third = max(1, count // 3)
    if count < MIN_POINTS or not abs(np.mean(logs[-third:]) - np.mean(logs[:third])) > 0.5 * abs(
        np.log(worth)
    ):
        return None
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


def _thinned(values: Floats) -> Floats:
    """At most `MAX_POINTS` values, each the median of some neighbours."""
    if len(values) <= MAX_POINTS:
        return values
    each = min(9, len(values) // MAX_POINTS)
    at = np.linspace(0, len(values) - each, MAX_POINTS).astype(np.int64)
    return np.median(values[at[:, None] + np.arange(each)], axis=1)


def tenth_rows(history: History, stat: str) -> Iterator[tuple[int, Floats]]:
    """The rows to judge that begin another ten steps."""
    steps = history.measured_steps(stat)
    last = -1
    for step in steps[steps >= history.fresh - history.fresh % 10].tolist():
        if step // 10 == last:
            continue
        row = history.between(stat, step, step + 1)[0]
        if np.isfinite(row).any():
            last = step // 10
            if step >= history.fresh:
                yield step, row


def matrix_medians(history: History, stat: str, steps: Iterable[int]) -> Floats:
    """The median of `stat` over the weight matrices at each of `steps`: NaN where not measured.

    Without gradients on a step, every site that is not a bias stands for a matrix.
    """
    return np.array([_matrix_median(history, stat, step) for step in steps])


def _matrix_median(history: History, stat: str, step: int) -> float:
    names = history.sites(stat)
    row, norm, rms = (
        history.between(name, step, step + 1)[0] for name in (stat, "grad_norm", "grad_rms")
    )
    if np.isfinite(rms).any():
        values = row[matrices(names, norm, rms)]
    else:
        values = row[weight_sites(names)[0]]
    values = values[np.isfinite(values)]
    if len(values) > SAMPLE:
        values = values[np.linspace(0, len(values) - 1, SAMPLE).astype(np.int64)]
    return float(np.median(values)) if len(values) else float("nan")
