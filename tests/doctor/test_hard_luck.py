"""Whatever goes wrong around a diagnosis, it answers or says why, and the program is untouched."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from small_programs import Batch, cross_entropy, never_cleared, program, stepping
from torch import Tensor, nn

from steadytrain.core.diagnosis import Diagnosis
from steadytrain.core.errors import ProgramError, UsageError
from steadytrain.core.program import Program
from steadytrain.doctor.diagnosing import diagnose
from steadytrain.doctor.observing import digest_of

STEPS = 30


def asked(own: Program, **options: Any) -> Diagnosis:
    return diagnose(own, STEPS, progress=False, preflight=False, **options)


@contextmanager
def untouched(own: Program) -> Iterator[None]:
    """The weights, the generator and torch itself are the same afterwards."""
    before = digest_of(own), torch.get_rng_state(), torch.autograd.backward
    yield
    assert digest_of(own) == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert torch.autograd.backward is before[2]


class DyingPool(Executor):
    """Takes two trials, then its processes are gone."""

    def __init__(self) -> None:
        self.taken = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.taken += 1
        future: Future[Any] = Future()
        if self.taken <= 2:
            future.set_result(fn(*args, **kwargs))
        else:
            future.set_exception(BrokenProcessPool("a process was killed"))
        return future


def test_an_executor_that_dies_changes_no_verdict() -> None:
    own = stepping(never_cleared)
    with untouched(own):
        there, here = asked(own, executor=DyingPool()), asked(own)
    assert [(c.name, c.proven) for c in there.causes] == [(c.name, c.proven) for c in here.causes]


def test_a_loss_that_is_nan_from_the_first_step_on_is_no_healthy_run() -> None:
    own = program(loss_fn=lambda model, batch: cross_entropy(model, batch) * float("nan"))
    with untouched(own):
        found = asked(own)
    assert not found.healthy
    assert not found.causes[0].proven


def test_a_step_that_ends_the_process_ends_only_the_run() -> None:
    def leaving(own: Program, batch: Batch) -> Tensor:
        if own.step > 5:
            sys.exit("enough")
        return never_cleared(own, batch)

    own = stepping(leaving)
    with untouched(own):
        found = asked(own)
    assert "SystemExit" in found.trials[0].outcome
    assert not found.healthy


def test_data_that_runs_out_within_the_step_is_said() -> None:
    def exhausted(_own: Program, _batch: Batch) -> Tensor:
        return next(iter(()))

    own = stepping(exhausted)
    with untouched(own):
        found = asked(own)
    assert "StopIteration" in found.trials[0].outcome


def test_a_one_shot_iterator_shorter_than_the_run_is_read_again() -> None:
    short = program()
    own = program(batches=iter(list(short.batches)[:4]))
    with untouched(own):
        assert asked(own).healthy


def test_a_factory_that_builds_only_once_costs_the_changes_that_need_it_and_nothing_else() -> None:
    built: list[int] = []

    def build(seed: int) -> Program:
        built.append(seed)
        if len(built) > 1:
            raise OSError("the data server is gone")
        return stepping(never_cleared)

    own = Program.from_factory(build)
    with untouched(own):
        assert asked(own).causes[0].name == "missing-zero-grad"


@pytest.mark.parametrize("call", [STEPS + 3, 2 * STEPS, 3 * STEPS, 5 * STEPS])
def test_ctrl_c_at_any_trial_gives_a_verdict_and_leaves_the_program(call: int) -> None:
    calls: list[int] = []

    def pressed(own: Program, batch: Batch) -> Tensor:
        interrupts.append(1)
        if len(interrupts) == call:
            raise KeyboardInterrupt
        return never_cleared(own, batch)

    interrupts = calls
    own = stepping(pressed)
    own.extra["unrelated"] = nn.Linear(2, 2)
    with untouched(own):
        found = asked(own)
    assert not found.healthy
    assert found.trials


def test_ctrl_c_before_anything_is_known_goes_on_upwards() -> None:
    def pressed(_own: Program, _batch: Batch) -> Tensor:
        raise KeyboardInterrupt

    own = stepping(pressed)
    with untouched(own), pytest.raises(KeyboardInterrupt):
        asked(own)


@pytest.mark.parametrize("steps", [0, -3, 2.5, True, None])
def test_steps_that_are_no_count_are_refused(steps: Any) -> None:
    with pytest.raises(UsageError, match="steps"):
        diagnose(program(), steps, progress=False)


def test_one_step_is_enough_for_an_answer() -> None:
    own = program()
    with untouched(own):
        assert diagnose(own, 1, progress=False, preflight=False).trials[0].steps == 1


def test_a_model_without_values_is_refused_before_anything_runs() -> None:
    own = program()
    own.model = nn.Linear(6, 2, device="meta")
    with pytest.raises(ProgramError, match="meta device"):
        diagnose(own, STEPS, progress=False)
