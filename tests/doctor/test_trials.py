"""A trial is one change on a copy, wherever it is run."""

from __future__ import annotations

import pickle
from dataclasses import replace

import torch
from small_programs import Batch, cross_entropy, never_cleared, program, stepping
from torch import Tensor, nn

from steadytrain.core.history import History
from steadytrain.core.program import Program
from steadytrain.doctor.change import PLACEBO, RERUN
from steadytrain.doctor.observing import digest_of, observe
from steadytrain.doctor.pool import executor_of
from steadytrain.doctor.scene import Scene
from steadytrain.doctor.tape import record
from steadytrain.doctor.trials import InProcess, Job, Record, run_trial
from steadytrain.doctor.twin import twin_of
from steadytrain.doctor.yardstick import Yardstick

STEPS = 12


def job(original: Program, *changes: str) -> Job:
    tape = record(original, STEPS)
    copy = twin_of(original)
    copy.batches = tape
    base = observe(copy, STEPS, 0)
    return Job(
        changes=changes,
        program=original,
        tape=tape,
        scene=Scene(history=History(), batches=tape.recorded, steps=STEPS),
        steps=STEPS,
        seed=0,
        first_loss=base.losses[0],
        yardstick=Yardstick(original, tape.recorded),
    )


def losses(made: Record) -> tuple[float, ...]:
    assert made.observation is not None
    return made.observation.losses


def test_running_again_gives_the_same_bits_and_the_placebo_does_not() -> None:
    original = program()
    again, placebo = (run_trial(job(original, name)) for name in (RERUN, PLACEBO))
    assert losses(again) == losses(run_trial(job(original, RERUN)))
    assert losses(again) != losses(placebo)
    assert again.is_comparable
    assert not placebo.is_comparable


def test_a_change_is_made_on_the_copy_alone() -> None:
    original = program()
    before = digest_of(original), original.optimizer.param_groups[0]["lr"]
    lower = run_trial(job(original, "lr-tenth"))
    assert losses(lower) != losses(run_trial(job(original, RERUN)))
    assert (digest_of(original), original.optimizer.param_groups[0]["lr"]) == before


def test_a_change_that_does_not_apply_is_no_run() -> None:
    assert run_trial(job(program(), "unfreeze")).observation is None


def test_two_changes_are_made_one_after_the_other() -> None:
    both = run_trial(job(stepping(never_cleared), "clear-gradients", "lr-tenth"))
    assert both.job_name == "clear-gradients + lr-tenth"
    assert losses(both) != losses(run_trial(job(stepping(never_cleared), "clear-gradients")))


def test_another_loss_is_not_held_against_the_first() -> None:
    assert not run_trial(job(program(), "flip-loss")).is_comparable
    assert run_trial(job(program(), "lr-tenth")).is_comparable


def test_a_trial_travels_to_another_process_and_back() -> None:
    own = job(stepping(never_cleared), "clear-gradients")
    there = pickle.loads(pickle.dumps(own))
    back = pickle.loads(pickle.dumps(run_trial(there)))
    assert losses(back) == losses(run_trial(own))


def test_processes_are_not_started_for_what_they_cannot_take() -> None:
    with executor_of(4, program(loss_fn=lambda m, b: cross_entropy(m, b))) as executor:
        assert isinstance(executor, InProcess)


def test_the_yardstick_says_the_original_loss_of_trained_weights() -> None:
    original = program()
    yardstick = Yardstick(original, original.batches)  # pyright: ignore[reportArgumentType]
    trained = twin_of(original)
    observe(trained, 60, 0)
    before, after = (yardstick.measure(one, 0)[0] for one in (original, trained))
    assert sum(after) < 0.7 * sum(before)


def test_the_yardstick_reads_a_step_s_loss_without_moving_anything() -> None:
    original = stepping(never_cleared)
    original.loss_fn = None
    yardstick = Yardstick(original, original.batches)  # pyright: ignore[reportArgumentType]
    held, _ = yardstick.measure(original, 0)
    expected = [
        float(cross_entropy(original.model, b).detach()) for b in list(original.batches)[::2]
    ]
    assert list(held) == expected


def test_a_trial_ends_at_its_first_alarm_and_the_placebo_does_not() -> None:
    original = stepping(never_cleared)
    original.optimizer.param_groups[0]["lr"] = 100.0
    spoiled, placebo = (run_trial(job(original, name)) for name in ("lr-times-ten", PLACEBO))
    assert spoiled.observation is not None
    assert spoiled.observation.cut
    assert spoiled.observation.steps < STEPS
    assert placebo.observation is not None
    assert not placebo.observation.cut


def test_a_watch_sees_the_gradients_that_a_changed_step_takes() -> None:
    def clipping(own: Program, batch: Batch) -> Tensor:
        own.optimizer.zero_grad()
        loss = cross_entropy(own.model, batch)
        loss.backward()
        nn.utils.clip_grad_value_(own.model.parameters(), 1e-6)
        own.optimizer.step()
        return loss.detach()

    made = run_trial(job(stepping(clipping), "no-clip"))
    assert made.observation is not None
    assert made.observation.history.series("grad_norm_total").min() > 1e-3


def test_a_layer_that_is_put_in_as_a_hook_leaves_the_loss_comparable() -> None:
    deep = program()
    layers = [part for _ in range(4) for part in (nn.Linear(16, 16), nn.ReLU())]
    deep.model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), *layers, nn.Linear(16, 2))
    deep.optimizer = torch.optim.SGD(deep.model.parameters(), lr=0.1)
    assert run_trial(job(deep, "insert-shortcuts")).is_comparable


def test_a_check_that_failed_is_asked_of_the_changed_program_again() -> None:
    original = program()
    original.optimizer = torch.optim.SGD(original.model[0].parameters(), lr=0.1)
    asked = ("parameters-not-in-optimizer",)
    repaired = run_trial(replace(job(original, "add-params"), asks=asked))
    other = run_trial(replace(job(original, "lr-tenth"), asks=asked))
    assert repaired.passed == set(asked)
    assert not other.passed
