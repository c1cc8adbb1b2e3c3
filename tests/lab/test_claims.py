import json
import math

import pytest
from lesson_records import NUM_STEPS, record, results

from steadytrain.core.experiment import Experiment
from steadytrain.lab.lesson.charts import charts
from steadytrain.lab.lesson.claimed_table import table_claims
from steadytrain.lab.lesson.claims import claims
from steadytrain.lab.lesson.tables import tables

FASTEST = "Which configuration learns fastest?"
BREAKS = "What does a learning rate x100 break?"
ALL_BUT_ONE = ("batchnorm", "GroupNorm(1, C)", "all tricks")


def verdict(found, question):
    return next(claim.verdict for claim in claims(found) if claim.question == question)


def test_the_expected_winner_holds_only_beyond_the_noise_of_the_seeds():
    clear = results(main={"all tricks": [0.01, 0.02, 0.015]})
    noisy = results(main={"all tricks": [0.01, 0.25, 0.015]})
    assert verdict(clear, FASTEST) == "holds"
    assert verdict(noisy, FASTEST) == "not shown"


def test_a_clear_loser_contradicts():
    found = results(main={"all tricks": [0.3, 0.31, 0.32]})
    assert verdict(found, FASTEST) == "contradicted"


def test_a_single_seed_shows_nothing():
    found = results(main={"all tricks": [0.01]}, num_seeds=1)
    assert verdict(found, FASTEST) == "not shown"


def test_a_diverged_favourite_does_not_hold():
    found = results(main={"all tricks": [math.nan, 0.01, 0.01]})
    assert verdict(found, FASTEST) != "holds"


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (("no tricks",), "holds"),
        ((), "contradicted"),
        (("no tricks", "GroupNorm(1, C)"), "contradicted"),
    ],
)
def test_the_break_test_is_judged_by_who_converges(broken, expected):
    assert verdict(results(broken=broken), BREAKS) == expected


def test_the_break_test_of_a_single_seed_shows_nothing():
    assert verdict(results(broken=("no tricks",), num_seeds=1), BREAKS) == "not shown"


def test_the_full_peak_at_step_zero_is_shown():
    found = results(num_seeds=1)
    found.main["all tricks, as written"] = [record(rates=[1e-3, 2e-4] + [1e-3] * (NUM_STEPS - 2))]
    found.main["all tricks"] = [record(rates=[2e-4, 4e-4] + [1e-3] * (NUM_STEPS - 2))]
    claim = next(c for c in claims(found) if c.question.startswith("Does the warm-up"))
    assert claim.verdict == "contradicted"
    assert "at 1 of the peak, corrected at 0.2" in claim.measured


@pytest.mark.parametrize(
    ("data", "epochs", "levels", "expected"),
    [
        ("digits", 5, [0.8, 0.8, 0.8], "not shown"),
        ("Fashion-MNIST", 5, [0.8, 0.8, 0.8], "not shown"),
        ("MNIST", 1, [0.8, 0.8, 0.8], "holds"),
        ("MNIST", 1, [0.3, 0.3, 0.3], "contradicted"),
        ("MNIST", 5, [0.8, 0.8, 0.8], "contradicted"),
        ("MNIST", 1, [0.8, math.nan, 0.8], "not shown"),
    ],
)
def test_the_lessons_table_is_judged_on_its_own_data_only(data, epochs, levels, expected):
    found = results(main={"no tricks": levels})
    assert table_claims(found, data, epochs)[0].verdict == expected


@pytest.mark.parametrize("level", [0.1, math.nan, math.inf])
def test_every_outcome_can_be_written_as_json(level):
    found = results(main={"batchnorm": [level] * 3, "no tricks": [level, 0.1, 0.1]})
    experiment = Experiment(
        name="x",
        title="x",
        summary="x",
        data="x",
        claims=(*claims(found), *table_claims(found, "MNIST", 5)),
        tables=tables(found),
        charts=charts(found),
    )
    text = json.dumps(experiment.to_json(), allow_nan=False)
    assert Experiment.from_json(json.loads(text)) == experiment
    assert len(experiment.claims) >= 12


def test_the_band_of_a_logarithmic_chart_stays_above_zero():
    found = results(main={"batchnorm": [0.001, 0.5, 0.9]})
    curve = next(line for line in charts(found)[0].series if line.name == "batchnorm")
    assert all(
        0 < low < y < high for low, y, high in zip(curve.low, curve.y, curve.high, strict=True)
    )


def test_at_its_best_rate_a_configuration_that_lost_at_the_common_one_may_win():
    found = results(main={"all tricks": [0.3, 0.31, 0.32]})
    for seed, loss in enumerate((0.01, 0.02, 0.015)):
        found.breaking["all tricks", 100.0][seed] = record(
            "all tricks", seed=seed, factor=100.0, losses=[loss] * NUM_STEPS
        )
    question = "And when each configuration has the best of the tried learning rates?"
    assert verdict(found, FASTEST) == "contradicted"
    assert verdict(found, question) == "holds"
