"""Whole diagnoses of small programs: the cause, the proof, the fix, and nothing changed."""

from __future__ import annotations

import json
import multiprocessing
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

import pytest
import torch
from small_programs import batches, closed_over, cross_entropy, never_cleared, program, stepping
from torch.nn import functional as F

import steadytrain as st
from steadytrain.core.diagnosis import Diagnosis
from steadytrain.core.errors import ProgramError, UsageError
from steadytrain.core.program import Program
from steadytrain.doctor.before import said_of_source
from steadytrain.doctor.observing import digest_of

STEPS = 50


def diagnosed(program: Program, **options: Any) -> Diagnosis:
    options = {"steps": STEPS, "progress": False, "preflight": False} | options
    return st.diagnose(program, **options)


@pytest.fixture(scope="module")
def spoiled() -> tuple[Program, Diagnosis]:
    faulty = stepping(never_cleared)
    return faulty, diagnosed(faulty)


def test_names_and_proves_the_missing_zero_grad(spoiled: tuple[Program, Diagnosis]) -> None:
    first = spoiled[1].causes[0]
    assert (first.name, first.proven) == ("missing-zero-grad", True)
    assert first.confidence > 0.5
    assert any(trial.healthy and trial.steps == STEPS for trial in first.trials)


def test_every_run_stands_in_the_table(spoiled: tuple[Program, Diagnosis]) -> None:
    trials = {trial.name: trial for trial in spoiled[1].trials}
    assert not trials["as-it-is"].healthy
    assert not trials["other-seed"].healthy
    assert trials["run-again"].numbers["identical"] is True
    assert trials["clear-gradients"].healthy
    assert all(trial.losses for trial in trials.values())


def test_the_fix_trains_and_leaves_the_program_as_it_was(
    spoiled: tuple[Program, Diagnosis],
) -> None:
    faulty, diagnosis = spoiled
    before = digest_of(faulty)
    fixed = diagnosis.apply_fix(faulty)
    run = st.train(fixed, steps=STEPS, progress=False)
    assert run.metrics["loss"] < 0.5
    assert digest_of(faulty) == before


def test_the_summary_says_cause_proof_and_remedy(spoiled: tuple[Program, Diagnosis]) -> None:
    text = spoiled[1].summary
    assert "missing-zero-grad (proven)" in text
    assert "Another seed alone did not help" in text
    assert "What to do" in text


def test_goes_into_json_and_back(spoiled: tuple[Program, Diagnosis]) -> None:
    data = json.loads(json.dumps(spoiled[1].to_json(), allow_nan=False))
    back = Diagnosis.from_json(data)
    assert back == spoiled[1]
    with pytest.raises(UsageError, match="read from JSON"):
        back.apply_fix(spoiled[0])


def test_the_same_seed_gives_the_same_answer(spoiled: tuple[Program, Diagnosis]) -> None:
    again = diagnosed(stepping(never_cleared))
    assert [c.name for c in again.causes] == [c.name for c in spoiled[1].causes]
    assert [t.losses for t in again.trials] == [t.losses for t in spoiled[1].trials]


def test_a_healthy_program_is_said_healthy_after_one_run() -> None:
    diagnosis = diagnosed(program())
    assert diagnosis.healthy
    assert diagnosis.cost == 1.0
    assert "Healthy" in diagnosis.summary
    with pytest.raises(UsageError, match="nothing to fix"):
        diagnosis.apply_fix(program())


def test_a_rate_a_thousand_times_too_high_is_proven_by_a_lower_one() -> None:
    diagnosis = diagnosed(program(rate=30.0))
    assert diagnosis.causes[0].name == "lr-too-high"
    assert diagnosis.causes[0].proven


class _Reversed(Executor):
    """Runs what was submitted later first, each in a thread of its own."""

    def __init__(self) -> None:
        self.submitted = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.submitted += 1
        future: Future[Any] = Future()
        delay = 0.2 / self.submitted
        threading.Timer(delay, lambda: future.set_result(fn(*args, **kwargs))).start()
        return future


def test_where_trials_run_does_not_change_the_verdict(spoiled: tuple[Program, Diagnosis]) -> None:
    other = diagnosed(stepping(never_cleared), executor=_Reversed())
    assert [t.losses for t in other.trials] == [t.losses for t in spoiled[1].trials]
    assert other.causes[0].name == "missing-zero-grad"


@pytest.mark.slow
def test_threads_and_processes_give_the_verdict_of_this_process(
    spoiled: tuple[Program, Diagnosis],
) -> None:
    context = multiprocessing.get_context("spawn")
    for executor in (ThreadPoolExecutor(2), ProcessPoolExecutor(1, mp_context=context)):
        with executor:
            other = diagnosed(stepping(never_cleared), executor=executor)
        assert [t.losses for t in other.trials] == [t.losses for t in spoiled[1].trials]


@pytest.mark.slow
def test_a_pool_that_cannot_take_the_program_costs_nothing_but_time() -> None:
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    diagnosis = diagnosed(stepping(never_cleared), executor=closed)
    assert diagnosis.causes[0].name == "missing-zero-grad"


def test_the_program_and_the_generators_are_untouched() -> None:
    original = closed_over()
    before = digest_of(original), torch.get_rng_state(), original.step
    diagnosed(original)
    assert (digest_of(original), original.step) == (before[0], before[2])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert original.extra["seen"]["steps"] == 0


def test_a_program_that_raises_is_diagnosed_and_left_alone() -> None:
    def step(program: Program, batch: Any) -> Any:
        if program.step == 3:
            raise ValueError("the third step is cursed")
        return never_cleared(program, batch)

    original = stepping(step)
    before = digest_of(original)
    diagnosis = diagnosed(original, steps=20)
    assert not diagnosis.healthy
    assert "the third step is cursed" in diagnosis.trials[0].outcome
    assert digest_of(original) == before


def test_a_loss_that_raises_at_once_is_an_answer_too() -> None:
    def loss(model: Any, batch: Any) -> Any:
        return cross_entropy(model, (batch[0], batch[1] + 5))

    diagnosis = diagnosed(program(loss_fn=loss), steps=20)
    assert not diagnosis.healthy
    assert "out of bounds" in diagnosis.trials[0].outcome


def test_ctrl_c_gives_the_verdict_so_far() -> None:
    calls = {"steps": 0}

    def count(step: int) -> None:
        calls["steps"] += step

    def step(program: Program, batch: Any) -> Any:
        count(1)
        if calls["steps"] == STEPS + 30:
            signal.raise_signal(signal.SIGINT)
        return never_cleared(program, batch)

    original = stepping(step)
    step.__globals__.setdefault("calls", calls)
    before = digest_of(original)
    diagnosis = diagnosed(original)
    assert not diagnosis.healthy
    assert digest_of(original) == before


def test_the_budget_is_kept() -> None:
    diagnosis = diagnosed(stepping(never_cleared), budget=2 * STEPS)
    assert diagnosis.cost <= 2.0
    assert diagnosis.causes[0].name == "missing-zero-grad"


def test_the_time_is_kept() -> None:
    diagnosis = diagnosed(stepping(never_cleared), seconds=1e-6)
    assert diagnosis.cost < 1.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps=0"),
        ({"steps": True}, "steps=True"),
        ({"budget": 0}, "budget=0"),
        ({"seconds": float("nan")}, "seconds=nan"),
    ],
)
def test_a_number_that_means_nothing_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        diagnosed(program(), **options)


def test_what_is_no_program_is_refused() -> None:
    with pytest.raises(UsageError, match=r"takes a steadytrain\.Program"):
        diagnosed(torch.nn.Linear(1, 1))  # pyright: ignore[reportArgumentType]


def test_data_that_raises_is_said() -> None:
    class Broken:
        def __iter__(self) -> Any:
            yield batches()[0]
            raise OSError("the disk is gone")

    with pytest.raises(ProgramError, match="the disk is gone"):
        diagnosed(program(batches=Broken()))


def test_a_watch_that_cannot_run_the_loop_again_says_what_to_give() -> None:
    faulty = stepping(never_cleared)
    with st.watch(faulty.model, faulty.optimizer) as watch:
        with pytest.raises(UsageError, match=r"steadytrain\.Program"):
            watch.diagnose()
        assert watch.diagnose(program(), steps=30).healthy


def softened(model: Any, batch: Any) -> torch.Tensor:
    return F.cross_entropy(F.softmax(model(batch[0]), dim=-1), batch[1])


def test_trouble_that_does_not_recur_is_a_fault_of_the_machine() -> None:
    class Machine:
        def __init__(self) -> None:
            self.is_broken = True

        def __deepcopy__(self, memo: Any) -> Machine:
            return self

    def step(program: Program, batch: Any) -> Any:
        program.optimizer.zero_grad()
        loss = cross_entropy(program.model, batch)
        loss.backward()
        machine = program.extra["machine"]
        if program.step == 10 and machine.is_broken:
            machine.is_broken = False
            program.model[0].weight.data[0, 0] = float("nan")
        program.optimizer.step()
        return loss.detach()

    original = stepping(step)
    original.extra["machine"] = Machine()
    diagnosis = diagnosed(original)
    assert (diagnosis.causes[0].name, diagnosis.causes[0].proven) == ("hardware-fault", True)
    assert "did not recur" in diagnosis.summary


def test_lint_says_the_line_of_a_person_s_own_loss() -> None:
    found = said_of_source(program(loss_fn=softened))
    first = next(one for one in found if "double-softmax" in one.causes)
    assert first.evidence["path"] == "test_diagnose.py"
    assert first.step == 0
