"""How large the experiment is, and the runs it consists of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from steadytrain.lab.guarding.arms import ARMS, GUARD
from steadytrain.lab.guarding.injection import Injection, known_injections
from steadytrain.lab.guarding.one_run import Job
from steadytrain.lab.guarding.workloads import BUILDERS
from steadytrain.lab.protocol import LabSettings

AVERAGED: Final = "BatchNorm CNN"
"""The workload that has running statistics and an average of its weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A size of the experiment."""

    seeds: int
    steps: int
    kinds: tuple[str, ...] | None = None
    """Every kind if None."""
    workloads: tuple[str, ...] = tuple(BUILDERS)
    arms: tuple[str, ...] = tuple(ARMS)


FULL: Final = Scale(seeds=5, steps=240)
QUICK: Final = Scale(
    seeds=1,
    steps=12,
    kinds=("nan-in-one-sample", "nan-running-statistic"),
    workloads=(AVERAGED, "actor-critic"),
    arms=("clip_grad_norm_", GUARD),
)
"""Everything is gone through, nothing is learnt."""


def scale_for(settings: LabSettings) -> Scale:
    """The size that `settings` ask for."""
    scale = QUICK if settings.quick else FULL
    return scale if settings.seeds is None else replace(scale, seeds=settings.seeds)


def jobs_of(scale: Scale) -> list[Job]:
    """Every kind on every workload it means something on, in the hands of every arm."""
    known = known_injections()
    kinds = [kind for name, kind in known.items() if scale.kinds is None or name in scale.kinds]
    return [
        Job(workload=workload, kind=kind.name, arm=arm, seed=seed, steps=scale.steps)
        for workload in scale.workloads
        for arm in scale.arms
        for seed in range(scale.seeds)
        for kind in kinds
        if _means_something(kind, workload)
    ]


def _means_something(kind: Injection, workload: str) -> bool:
    return not kind.needs or workload == AVERAGED
