"""One run: a workload, struck by one kind of fault, in the hands of one arm."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import torch

from steadytrain.lab.guarding.arms import ARMS
from steadytrain.lab.guarding.injection import POISONED, find_injection
from steadytrain.lab.guarding.injector import Injector
from steadytrain.lab.guarding.workloads import build


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to run."""

    workload: str
    kind: str
    arm: str
    seed: int
    steps: int

    @property
    def name(self) -> str:
        """As it is called in the progress."""
        return f"{self.kind} on {self.workload}, {self.arm}, seed {self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it ended."""

    job: Job
    cost: float
    reference: float
    """The cost of the same arm without the fault."""
    is_finite: bool
    """Whether all weights, buffers and averages are finite."""
    has_ended: bool
    """Whether it went through all of its data."""
    extra_fraction: float
    """Batches that were used again, over those of the run."""
    events: tuple[tuple[str, int], ...]

    @property
    def ratio(self) -> float:
        """The cost over that of the run without the fault; infinite for one that is NaN."""
        return self.cost / self.reference if self.cost < math.inf else math.inf

    @property
    def has_passed(self) -> bool:
        """Whether it is as if the fault had not been."""
        as_good, quick = self.ratio <= MAX_RATIO, self.extra_fraction <= MAX_EXTRA
        return self.is_finite and self.has_ended and as_good and quick


MAX_RATIO = 1.05
MAX_EXTRA = 0.02


def run_job(job: Job) -> Outcome:
    """The outcome of one run."""
    kind = find_injection(job.kind)
    begin = job.steps // 2
    hit = tuple(begin + place for place in kind.batches)
    data = job.steps + (len(hit) if kind.at in POISONED else 0)
    clean = [_clean(job.workload, job.arm, job.seed, job.steps, data, hit)]
    if kind.at not in POISONED:  # whoever leaves the batch out may do so, and whoever heals it
        clean.append(_clean(job.workload, job.arm, job.seed, job.steps, data, ()))
    end = train(job, data, (), job.kind)
    return Outcome(
        job=job,
        cost=end.cost,
        reference=max(clean),
        is_finite=end.is_finite,
        has_ended=end.has_ended,
        extra_fraction=end.num_again / job.steps,
        events=tuple(sorted(Counter(end.events).items())),
    )


@lru_cache(maxsize=256)
def _clean(
    workload: str, arm: str, seed: int, steps: int, data: int, without: tuple[int, ...]
) -> float:
    job = Job(workload=workload, kind="", arm=arm, seed=seed, steps=steps)
    return train(job, data, without, None).cost


@dataclass(frozen=True, slots=True)
class End:
    """What a run left."""

    cost: float
    is_finite: bool
    has_ended: bool
    num_again: int
    events: tuple[str, ...]


def train(job: Job, num_batches: int, without: tuple[int, ...], kind: str | None) -> End:
    """Train through the data once.

    Args:
        job: workload, arm and seed.
        num_batches: batches of the data.
        without: those that the loader never gives.
        kind: the fault, or None.
    """
    torch.manual_seed(10_000 + job.seed)
    workload = build(job.workload, job.seed, job.steps)
    injector = Injector(
        workload, None if kind is None else find_injection(kind), job.steps // 2, job.seed
    )
    arm = ARMS[job.arm](workload)
    places = [place for place in range(num_batches) if place not in without]
    data = [(place, workload.batches[place % len(workload.batches)]) for place in places]
    num_used, has_ended = 0, True
    try:
        for place, batch in arm.batches(data):
            num_used += 1
            injector.begin_batch(place)
            for turn in workload.turns:
                if place % turn.every == 0:
                    arm.step(turn, batch, lambda t=turn, b=batch: injector.loss(t.loss_fn(b), t))
    except (RuntimeError, ValueError):  # what torch raises at a NaN ends a run as well
        has_ended = False
    injector.detach()
    is_finite = all(bool(tensor.isfinite().all()) for tensor in workload.everything())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cost = workload.cost() if is_finite else math.inf
    return End(
        cost=cost if math.isfinite(cost) else math.inf,
        is_finite=is_finite,
        has_ended=has_ended and not arm.has_stopped,
        num_again=max(0, num_used - len(data)),
        events=arm.events,
    )
