"""Trials: copies of a program, each with one change, run wherever the executor runs them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import torch

from steadytrain.core.program import Program
from steadytrain.doctor.change import PLACEBO, RERUN, change_named
from steadytrain.doctor.observing import Observation, OnStep, digest_of, observe
from steadytrain.doctor.repairs import passed_by
from steadytrain.doctor.scene import Scene, models_of
from steadytrain.doctor.tape import Tape
from steadytrain.doctor.twin import twin_of
from steadytrain.doctor.yardstick import Yardstick

P = ParamSpec("P")
T = TypeVar("T")


class InProcess(Executor):
    """Runs what is submitted at once, in the process and thread that submits it."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """A future that is done already."""
        future: Future[T] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One trial; picklable where the program is."""

    changes: tuple[str, ...]
    """Names, made one after the other; more than one only when no single one suffices."""
    program: Program
    tape: Tape
    scene: Scene
    steps: int
    seed: int
    first_loss: float = math.nan
    """Of the observed run."""
    yardstick: Yardstick | None = None
    asks: tuple[str, ...] = ()
    """Checks that failed before the first step, to be asked of the changed program again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What came of a trial."""

    changes: tuple[str, ...]
    observation: Observation | None
    """None where the change does not apply."""
    is_comparable: bool = True
    """Whether its loss is the observed run's: the same function on the same data."""
    passed: frozenset[str] = frozenset()
    """Those of the asked checks that the changed program passes."""

    @property
    def job_name(self) -> str:
        """The changes in a word."""
        return " + ".join(self.changes)


def run_trial(job: Job, on_step: OnStep = lambda _: True) -> Record:
    """The trial was run on a copy; whatever goes wrong in it is data."""
    copy = twin_of(job.program)
    copy.batches = job.tape
    before = _Marks.of(copy)
    seed = job.seed
    for change in job.changes:
        if change == PLACEBO:
            seed = job.seed + 1
            copy.batches = job.tape.reordered(seed)
        elif change != RERUN:
            changed = _changed(change, copy, job.scene)
            if changed is None:
                return Record(changes=job.changes, observation=None)
            copy = changed
    after = _Marks.of(copy)
    passed = passed_by(copy, job.asks, seed)
    # the placebo and the repetition are measures of noise, whatever alarms in them
    measures_noise = bool({PLACEBO, RERUN} & set(job.changes))
    observation = observe(
        copy, job.steps, seed, job.yardstick, on_step, ends_at_alarm=not measures_noise
    )
    first = observation.losses[0] if observation.losses else math.nan
    return Record(
        changes=job.changes,
        observation=observation,
        passed=passed,
        is_comparable=after.is_comparable_to(before, first, job.first_loss),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Marks:
    """By which a change of the data, of the loss and of the model are told apart."""

    batches: object
    loss_fn: object
    layers: str
    digest: str

    @classmethod
    def of(cls, program: Program) -> _Marks:
        layers = "".join(f"{model!r} {_num_hooks(model)}" for model in models_of(program))
        return cls(
            batches=program.batches,
            loss_fn=program.loss_fn,
            layers=layers,
            digest=digest_of(program),
        )

    def is_comparable_to(self, before: _Marks, first: float, seen: float) -> bool:
        """Whether the losses after the change are of the same function on the same data."""
        if self.batches is not before.batches or self.loss_fn is not before.loss_fn:
            return False
        is_other_model = self.layers != before.layers or self.digest != before.digest
        return is_other_model or math.isclose(first, seen, rel_tol=1e-4, abs_tol=1e-6)


def _num_hooks(model: torch.nn.Module) -> int:
    """A layer may be put in as a hook: then the model prints as before."""
    return sum(len(part._forward_hooks) for part in model.modules())


def gather(jobs: Sequence[Job], executor: Executor, on_step: OnStep) -> list[Record]:
    """The records of all `jobs`, in their order.

    What an executor cannot take to its place, or loses there, is run in this process instead, so
    that the verdict does not depend on where trials run.
    """
    if isinstance(executor, InProcess):
        return [run_trial(job, on_step) for job in jobs]
    futures = [_submit(executor, job) for job in jobs]
    return [_result(future, job, on_step) for future, job in zip(futures, jobs, strict=True)]


def _submit(executor: Executor, job: Job) -> Future[Record] | None:
    try:
        return executor.submit(run_trial, job)
    except Exception:  # a pool that is closed or broken
        return None


def _result(future: Future[Record] | None, job: Job, on_step: OnStep) -> Record:
    try:
        record = future.result() if future is not None else None
    except Exception:  # run_trial raises nothing of the program's: the pool could not take it
        record = None
    if record is None:
        return run_trial(job, on_step)
    if record.observation is not None:
        on_step(record.observation.steps)
    return record


def _changed(name: str, copy: Program, scene: Scene) -> Program | None:
    """The copy with the change, or None where it does not apply; raising means the same."""
    change = change_named(name)
    if change.needs_factory and copy.factory is None:
        return None
    try:
        return change.apply(copy, scene)
    except Exception:
        return None
