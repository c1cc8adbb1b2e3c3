import dataclasses

import numpy as np
import pytest
import torch

from steadytrain.lab.lesson.one_run import NAMED_STEPS, RunJob, named_steps, run_job
from steadytrain.lab.lesson.recipes import RECIPES
from steadytrain.store.reader import read_run

JOB = RunJob(recipe="all tricks, as written", seed=0, epochs=0.5, batch_size=32)
VECTORS = ("losses", "grad_norms", "grad_norms_clipped", "rates")


def assert_equal(first, second):
    assert all(np.array_equal(getattr(first, v), getattr(second, v)) for v in VECTORS)
    assert first.validation_loss == second.validation_loss


def test_the_same_job_gives_the_same_bits():
    assert_equal(run_job(JOB), run_job(JOB))


def test_another_seed_gives_another_run():
    other = run_job(dataclasses.replace(JOB, seed=1))
    assert not np.array_equal(run_job(JOB).losses, other.losses)


def test_watching_changes_no_bit_and_measures_the_same(tmp_path):
    watched = run_job(dataclasses.replace(JOB, run_dir=tmp_path / "run"))
    assert_equal(run_job(JOB), watched)
    history = read_run(watched.run_dir).history
    assert history.series("grad_norm_total") == pytest.approx(watched.grad_norms, rel=1e-5)
    assert history.series("grad_norm_clipped") == pytest.approx(
        watched.grad_norms_clipped, rel=1e-5
    )
    assert history.window("learning_rate")[:, 0] == pytest.approx(watched.rates)


def test_the_global_generator_and_the_threads_are_left_as_they_were():
    torch.manual_seed(7)
    before = torch.get_rng_state(), torch.get_num_threads()
    run_job(JOB)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]


def test_norms_after_clipping_are_at_most_one_and_before_it_not():
    record = run_job(JOB)
    assert record.grad_norms.max() > 1
    assert record.grad_norms_clipped.max() <= 1 + 1e-5


def test_a_configuration_that_does_not_clip_has_one_norm():
    record = run_job(dataclasses.replace(JOB, recipe="no tricks"))
    assert np.array_equal(record.grad_norms, record.grad_norms_clipped)


def test_a_run_whose_loss_is_not_finite_ends_there():
    record = run_job(dataclasses.replace(JOB, recipe="no tricks", rate_factor=1e30))
    assert len(record.losses) < record.num_steps
    assert not record.is_complete
    assert np.isnan(record.validation_accuracy)


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_configuration_learns_something_in_an_epoch(recipe):
    record = run_job(RunJob(recipe=recipe, seed=0, epochs=1, batch_size=16))
    assert record.is_complete
    assert record.losses[-10:].mean() < record.losses[0]
    assert record.validation_accuracy > 0.3


def test_layers_are_drawn_at_the_named_steps():
    record = run_job(JOB)
    assert list(record.layer_norms) == named_steps(record.num_steps)
    assert all(
        list(norms) == ["conv 1", "conv 2", "conv 3", "classifier"]
        for norms in record.layer_norms.values()
    )


def test_a_long_run_names_the_lessons_steps_and_a_short_one_shares_of_itself():
    assert named_steps(2345) == list(NAMED_STEPS)
    assert named_steps(400) == [20, 100, 399]


def test_the_final_loss_is_that_of_the_last_epoch_or_of_the_last_tenth():
    two_epochs = run_job(dataclasses.replace(JOB, epochs=2))
    half_an_epoch = run_job(JOB)
    assert two_epochs.final_steps == two_epochs.steps_per_epoch
    assert half_an_epoch.final_steps == half_an_epoch.num_steps // 10
