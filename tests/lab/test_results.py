import math

import numpy as np
import pytest
from lesson_records import NUM_STEPS, record, results

from steadytrain.lab.lesson.recipes import RECIPES
from steadytrain.lab.lesson.results import (
    Results,
    clipped_percent,
    converged,
    final_loss,
    log_jitter,
    log_spread,
    spread_after,
    spread_before,
    tail_ratio,
)

GUESSING = math.log(10)


def test_a_run_converges_up_to_a_quarter_of_the_loss_of_guessing():
    assert converged(record(losses=[0.249 * GUESSING] * NUM_STEPS))
    assert not converged(record(losses=[0.251 * GUESSING] * NUM_STEPS))


@pytest.mark.parametrize("last", [math.nan, math.inf])
def test_a_run_with_a_loss_that_is_not_finite_never_converges(last):
    assert not converged(record(losses=[0.1] * (NUM_STEPS - 1) + [last]))


def test_a_run_that_ended_early_never_converges():
    assert not converged(record(losses=[0.1] * (NUM_STEPS - 1)))


def test_the_safety_margin_ends_before_the_first_factor_that_breaks_a_seed():
    found = results(broken=("no tricks",))
    assert found.safety_margin("no tricks") == 1.0
    assert found.safety_margin("batchnorm") == 100.0


def test_there_is_no_margin_where_the_plain_rate_does_not_converge():
    found = results(main={"no tricks": [0.1, 0.1, 2.3]})
    assert found.safety_margin("no tricks") is None


def test_the_main_runs_stand_in_for_factor_one():
    found = results()
    assert found.breaking["batchnorm", 1.0] == found.main["batchnorm"]


def test_every_factor_has_the_same_seeds():
    main = [record(name, seed=seed) for name in RECIPES for seed in range(3)]
    breaking = [record(name, seed=seed, factor=3.0) for name in RECIPES for seed in range(2)]
    found = Results.of(main, breaking, (1.0, 3.0))
    assert {len(records) for records in found.breaking.values()} == {2}


def test_a_mean_over_a_diverged_seed_is_not_given():
    found = results(main={"batchnorm": [0.1, math.nan, 0.1]})
    assert found.mean("batchnorm", final_loss) is None
    assert found.gap("batchnorm", "all tricks", final_loss) is None
    assert found.ranking(final_loss)[-1] == "batchnorm"


def test_the_best_factor_is_one_that_every_seed_survives():
    found = results(main={"batchnorm": [math.nan, 0.1, 0.1]})
    assert found.best_factor("batchnorm") == 100.0


def test_a_trend_is_spread_but_not_jitter():
    norms = np.exp(np.linspace(0, 3, 50))
    assert log_spread(norms) > 0.8
    assert log_jitter(norms) < 1e-6


def test_jitter_of_independent_noise_is_its_deviation():
    noise = np.random.default_rng(0).normal(0, 0.5, 20000)
    assert log_jitter(np.exp(noise)) == pytest.approx(0.5, rel=0.03)


def test_norms_that_are_zero_or_not_finite_do_not_enter_the_spread():
    assert log_spread(np.array([1.0, 0.0, np.nan, np.inf, 1.0])) == 0
    assert math.isnan(log_spread(np.array([0.0])))
    assert math.isnan(tail_ratio(np.zeros(3)))


def test_the_lessons_norms_lose_their_spread_in_the_clip():
    found = record(norms=np.linspace(1, 50, NUM_STEPS))
    assert spread_before(found) > 0.5
    assert spread_after(found) == 0


def test_a_norm_of_nan_counts_as_clipped():
    assert clipped_percent(record(norms=[0.5] * 10 + [math.nan] * 10)) == 50
