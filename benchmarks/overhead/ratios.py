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


RESAMPLES: Final = 2000

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and where it lies with 95% confidence, by resampling whole rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, rounds: Sequence[Floats] | Sequence[float] | Floats) -> Spread:
        """Of every value in the rounds; values of one round are not independent."""
        groups = [np.atleast_1d(np.asarray(values, dtype=np.float64)) for values in rounds]
        draw = np.random.default_rng(0).integers(len(groups), size=(RESAMPLES, len(groups)))
        medians = [np.median(np.concatenate([groups[i] for i in one])) for one in draw]
        low, high = np.quantile(medians, (0.025, 0.975))
        return cls(float(np.median(np.concatenate(groups))), float(low), float(high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """What one monitor does to a step of one workload, against the bare arms of the same round."""

    name: str
    median_step: Spread
    """Median ratio of a step to the bare one of its turn: what most steps cost."""
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

    def compared(how: Callable[[Block, Block], Floats | float]) -> Spread:
        """Every round against each of the bare arms."""
        pairs = zip(arm.blocks, *(other.blocks for other in reference), strict=True)
        return Spread.of(
            [np.hstack([how(own, other) for other in others]) for own, *others in pairs]
        )

    return Overhead(
        name=arm.monitor.name,
        median_step=compared(_step_ratios),
        mean_step=compared(lambda own, other: own.mean / other.mean),
        cpu=compared(lambda own, other: own.cpu_mean / other.cpu_mean),
        added_seconds=compared(lambda own, other: own.mean - other.mean),
        trains_the_same=_are_equal(arm, bare[0]) if arm.num_steps == bare[0].num_steps else None,
    )


def _step_ratios(own: Block, other: Block) -> Floats:
    """Each step against the other arm's step of the same turn."""
    shared = min(len(own.steps), len(other.steps))
    return np.array(own.steps[:shared]) / np.array(other.steps[:shared])


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
