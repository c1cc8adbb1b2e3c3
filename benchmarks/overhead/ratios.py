"""From blocks to the figures of the table: ratios within a round, their median and spread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.overhead.monitors import BareAgain, Monitor
from benchmarks.overhead.timing import Arm, Block

AA_GATE: Final = (0.93, 1.07)
"""Where the ratio of the two bare arms must lie for a run to count."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and the middle half around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: NDArray[np.float64] | Sequence[float]) -> Spread:
        low, median, high = np.quantile(np.asarray(values, dtype=np.float64), (0.25, 0.5, 0.75))
        return cls(float(median), float(low), float(high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """What one monitor does to a step of one workload, against the bare arms of the same round."""

    name: str
    median_step: Spread
    """Ratio of the median step: what most steps cost."""
    mean_step: Spread
    """Ratio of the mean over a whole sampling period: what the run costs."""
    cpu: Spread
    """The same as `mean_step` in CPU seconds of all threads."""
    added_seconds: Spread
    """Wall seconds added to the mean step."""
    trains_the_same: bool | None
    """Whether weights and buffers are `torch.equal` to the bare arm's at the end; None where the
    arm took fewer steps."""


def overheads(arms: Sequence[Arm]) -> list[Overhead]:
    """One `Overhead` per arm; the second bare arm is compared with the first."""
    bare = [arm for arm in arms if type(arm.monitor) in (Monitor, BareAgain)]
    return [_overhead(arm, bare) for arm in arms if arm is not bare[0]]


def _overhead(arm: Arm, bare: Sequence[Arm]) -> Overhead:
    reference = bare[:1] if arm in bare else bare

    def ratio(of: Callable[[Block], float]) -> Spread:
        return Spread.of(_values(arm, of) / _bare_values(reference, of))

    return Overhead(
        name=arm.monitor.name,
        median_step=ratio(lambda block: block.median),
        mean_step=ratio(lambda block: block.mean),
        cpu=ratio(lambda block: block.cpu_mean),
        added_seconds=Spread.of(
            _values(arm, lambda block: block.mean)
            - _bare_values(reference, lambda block: block.mean)
        ),
        trains_the_same=_are_equal(arm, bare[0]) if arm.num_steps == bare[0].num_steps else None,
    )


def _values(arm: Arm, of: Callable[[Block], float]) -> NDArray[np.float64]:
    return np.array([of(block) for block in arm.blocks])


def _bare_values(bare: Sequence[Arm], of: Callable[[Block], float]) -> NDArray[np.float64]:
    return np.mean([_values(arm, of) for arm in bare], axis=0)


def _are_equal(arm: Arm, other: Arm) -> bool:
    mine, others = _tensors(arm), _tensors(other)
    return mine.keys() == others.keys() and all(
        torch.equal(mine[name], others[name]) for name in mine
    )


def _tensors(arm: Arm) -> dict[str, Tensor]:
    return dict(arm.monitor.model.state_dict())


def passes_gate(overhead: Overhead) -> bool:
    """Whether two bare arms agreed well enough for the run to count."""
    low, high = AA_GATE
    return low <= overhead.mean_step.median <= high
