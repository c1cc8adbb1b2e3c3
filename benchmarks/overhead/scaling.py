"""How the watch's time grows with the number of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.overhead.monitors import BareAgain, Monitor, Steadytrain
from benchmarks.overhead.ratios import Spread, overheads
from benchmarks.overhead.timing import make_arms, run_rounds
from benchmarks.overhead.workloads import many_tensors

COUNTS: Final = (100, 1_000, 10_000)
"""Numbers of tensors that are timed."""


@dataclass(frozen=True, slots=True)
class TensorCost:
    """What the watch adds to a mean step of a model with `count` small tensors."""

    count: int
    added_seconds: Spread
    ratio: Spread

    @property
    def microseconds_per_tensor(self) -> float:
        return 1e6 * self.added_seconds.median / self.count


def tensor_costs(
    counts: Sequence[int], *, seconds: float, seed: int, device: str, folder: Path, min_rounds: int
) -> list[TensorCost]:
    """The default watch on models of more and more tensors, `seconds` each."""
    costs: list[TensorCost] = []
    for count in counts:
        arms = make_arms(
            many_tensors(count),
            (Monitor, BareAgain, Steadytrain),
            seed=seed,
            device=device,
            fused=False,
            folder=folder,
        )
        run_rounds(arms, seconds=seconds, seed=seed, device=device, min_rounds=min_rounds)
        watched = overheads(arms)[-1]
        costs.append(TensorCost(count, watched.added_seconds, watched.mean_step))
        for arm in arms:
            arm.monitor.close()
    return costs


def fitted_microseconds(costs: Sequence[TensorCost]) -> tuple[float, float]:
    """Slope (microseconds per tensor) and exponent of the growth: 1 is linear, below 1 cheaper."""
    counts = np.array([cost.count for cost in costs], dtype=np.float64)
    added = np.array([1e6 * cost.added_seconds.median for cost in costs])
    slope = float(np.polyfit(counts, added, 1)[0])
    positive = added > 0
    if positive.sum() < 2:
        return slope, math.nan
    return slope, float(np.polyfit(np.log(counts[positive]), np.log(added[positive]), 1)[0])
