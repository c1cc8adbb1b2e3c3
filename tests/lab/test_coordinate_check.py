"""The experiment about widths: what one job measures, and what is made of all of them."""

import dataclasses
import itertools

import pytest

from steadytrain.lab.width.findings import PAIR, Findings, geometric_mean
from steadytrain.lab.width.networks import MAXIMAL, STANDARD
from steadytrain.lab.width.one_run import WidthJob, WidthRecord, run_width
from steadytrain.lab.width.pictures import charts, claims, tables

JOB = WidthJob(
    network="MLP",
    optimizer="Adam",
    parametrization=STANDARD,
    rate=0.01,
    seed=0,
    widths=(32, 256),
    steps=3,
    batch_size=32,
    data=None,
)
RATES = (0.25, 0.5, 1.0, 2.0)


def found(growth, best, seeds=2, diverged=()):
    """Findings where each parametrisation grows and has its best rate at the two widths so."""
    records = []
    for one, seed in itertools.product(PAIR, range(seeds)):
        job = dataclasses.replace(JOB, parametrization=one, seed=seed)
        records.append(
            WidthRecord(job=job, sizes={"(output)": (1.0, growth[one])}, growth={"a": growth[one]})
        )
        for place, rate in itertools.product((0, 1), RATES):
            trained = dataclasses.replace(
                job, widths=(32, JOB.widths[place]), rate=rate, trains=True
            )
            loss = None if (one, rate) in diverged else 1 + abs(rate - best[one][place])
            records.append(WidthRecord(job=trained, sizes={}, growth={}, loss=loss))
    return Findings.of_records(records)


RIGHT = {STANDARD: 9.0, MAXIMAL: 1.1}
MOVES = {STANDARD: (1.0, 0.25), MAXIMAL: (1.0, 1.0)}


def verdicts(findings):
    return [claim.verdict for claim in claims(findings)]


@pytest.mark.parametrize("network", ["MLP", "transformer"])
def test_a_check_of_digits_is_flat_with_mup_and_grows_without(network):
    growth = {}
    for one in PAIR:
        job = dataclasses.replace(JOB, network=network, parametrization=one)
        growth[one] = max(run_width(job).growth.values())
    assert growth[MAXIMAL] < 2 < growth[STANDARD]


def test_a_training_measures_a_loss_and_repeats_to_the_bit():
    job = dataclasses.replace(JOB, widths=(16, 32), trains=True)
    assert run_width(job).loss == run_width(job).loss > 0


def test_at_the_base_width_both_parametrizations_are_one():
    job = dataclasses.replace(JOB, widths=(16, 16), trains=True)
    losses = {run_width(dataclasses.replace(job, parametrization=one)).loss for one in PAIR}
    assert len(losses) == 1


def test_a_training_that_diverges_has_no_loss():
    job = dataclasses.replace(JOB, widths=(16, 32), rate=1e30, trains=True, steps=5)
    assert run_width(job).loss is None


def test_all_holds_where_the_standard_grows_and_its_best_rate_moves():
    assert verdicts(found(RIGHT, MOVES)) == ["holds", "holds", "holds"]


@pytest.mark.parametrize(
    ("growth", "best", "expected"),
    [
        ({STANDARD: 1.9, MAXIMAL: 1.1}, MOVES, ["contradicted", "holds", "holds"]),
        ({STANDARD: 9.0, MAXIMAL: 2.1}, MOVES, ["holds", "contradicted", "holds"]),
        (RIGHT, {STANDARD: (1, 1), MAXIMAL: (1, 0.25)}, ["holds", "holds", "contradicted"]),
        ({STANDARD: 9.0, MAXIMAL: float("nan")}, MOVES, ["holds", "contradicted", "holds"]),
    ],
)
def test_what_was_measured_otherwise_is_said(growth, best, expected):
    assert verdicts(found(growth, best)) == expected


def test_one_seed_shows_nothing():
    assert set(verdicts(found(RIGHT, MOVES, seeds=1))) == {"not shown"}


def test_the_regret_is_the_price_of_the_narrow_networks_rate():
    findings = found(RIGHT, MOVES)
    assert findings.regret(STANDARD) == pytest.approx(0.75)
    assert findings.regret(MAXIMAL) == 0


def test_a_rate_at_which_a_seed_diverged_is_never_the_best():
    findings = found(RIGHT, MOVES, diverged={(MAXIMAL, 1.0)})
    assert findings.best_rate(MAXIMAL, 32) == 0.5
    assert findings.mean_loss(MAXIMAL, 32, 1.0) is None


def test_a_mean_over_what_is_not_finite_is_left_empty():
    assert geometric_mean([1.0, 4.0]) == pytest.approx(2)
    assert geometric_mean([1.0, float("inf")]) is geometric_mean([1.0, 0.0]) is None


def test_every_width_and_rate_is_in_the_tables_and_charts():
    findings = found(RIGHT, MOVES)
    losses = tables(findings)[-1]
    assert losses.columns == ("parametrisation", "width", "0.25", "0.5", "1", "2")
    assert len(losses.rows) == 4
    assert [len(chart.series) for chart in charts(findings)] == [2, 2, 2]
