"""Scoring: every figure of the fault lab on outcomes made by hand."""

import math

import pytest

from steadytrain.core.finding import Severity
from steadytrain.core.ranking import rank
from steadytrain.lab.zoo.claims import claims, delays
from steadytrain.lab.zoo.planting import known_faults
from steadytrain.lab.zoo.scoring import (
    Job,
    Outcome,
    Said,
    Share,
    alarms_per_thousand,
    delay,
    first_right,
    is_first_cause_right,
    is_site_right,
)
from steadytrain.lab.zoo.tables import tables

WARNING, NOTE = int(Severity.WARNING), int(Severity.NOTE)


def said(cause, step=3, severity=WARNING, site=None, rule="stale-gradients"):
    return Said(rule=rule, step=step, severity=severity, site=site, causes=(cause,))


def outcome(*findings, kind="fault", name="missing-zero-grad", seed=5, steps=200):
    job = Job(kind=kind, name=name, architecture="mlp", seed=seed)
    return Outcome(job=job, steps=steps, seconds=1.0, watch_seconds=0.01, said=findings)


def test_an_alarm_that_nominates_the_cause_counts_as_named():
    found = outcome(said("lr-too-high", 1), said("missing-zero-grad", 7))
    assert first_right(found).step == 7
    assert delay(found) == 7


def test_a_note_is_no_alarm():
    found = outcome(said("missing-zero-grad", severity=NOTE))
    assert first_right(found) is None
    assert math.isnan(delay(found))


def test_the_earlier_finding_leads_the_ranking():
    found = outcome(said("missing-zero-grad", 3), said("lr-too-high", 9))
    assert is_first_cause_right(found)
    late = outcome(said("lr-too-high", 3), said("missing-zero-grad", 9))
    assert not is_first_cause_right(late)
    assert is_first_cause_right(late, among=2)


def test_nothing_said_ranks_nothing():
    assert rank([]) == []
    assert not is_first_cause_right(outcome(), among=3)


@pytest.mark.parametrize(
    ("site", "right"), [("a.b", True), ("a.b.weight", True), ("a", True), ("a.bc", False)]
)
def test_a_place_is_right_where_it_is_the_place_or_around_or_within_it(site, right):
    assert is_site_right(outcome(said("x", site=site)), ("a.b",)) is right


def test_wilsons_interval_is_the_published_one():
    low, high = Share(hits=9, total=10).interval
    assert (low, high) == pytest.approx((0.5958, 0.9821), abs=1e-4)
    assert Share(hits=0, total=0).interval == (0.0, 1.0)


def test_alarms_are_counted_per_thousand_healthy_steps():
    healthy = [outcome(said("x"), kind="twin"), outcome(kind="twin", steps=300)]
    assert alarms_per_thousand(healthy, Severity.WARNING) == pytest.approx(2.0)
    assert alarms_per_thousand(healthy, Severity.CRITICAL) == 0.0
    assert math.isnan(alarms_per_thousand([], Severity.WARNING))


def test_early_seeds_of_an_architecture_that_is_not_held_out_may_be_looked_at():
    assert not outcome(seed=1).job.is_scored_only
    assert outcome(seed=2).job.is_scored_only
    held_out = Job(kind="fault", name="missing-zero-grad", architecture="gpt", seed=0)
    assert held_out.is_scored_only


def test_the_targets_are_judged_on_what_is_only_scored():
    seen, scored = outcome(seed=0), outcome(said("missing-zero-grad"), seed=4)
    named = claims([seen, scored])[0]
    assert named.measured.startswith("1/1")
    assert named.verdict == "holds"
    assert claims([outcome(seed=4)])[0].verdict == "contradicted"


def test_every_table_names_what_was_run():
    totals, faults, controls, rules = tables(
        [
            outcome(said("missing-zero-grad"), seed=1),
            outcome(kind="control", name="batches-of-two", seed=1),
        ]
    )
    assert totals.rows[0] == ("faulty runs", 1, 0)
    assert faults.rows[0][:2] == ("missing-zero-grad", "missing-zero-grad")
    assert controls.rows[0][0] == "batches-of-two"
    assert any(row[0] == "stale-gradients" and row[1].startswith("1/1") for row in rules.rows)


def test_what_is_only_scored_is_shown_in_total_and_by_no_name():
    scored = [
        outcome(said("missing-zero-grad"), seed=4),
        outcome(said("x"), kind="control", name="batches-of-two", seed=4),
    ]
    totals, faults, controls, _ = tables(scored)
    figures = {name: only_scored for name, _, only_scored in totals.rows}
    assert figures["cause named"].startswith("1/1")
    assert figures["healthy runs with a false alarm"].startswith("1/1")
    assert not faults.rows
    assert not controls.rows


def test_a_rate_of_false_alarms_comes_with_its_interval():
    healthy = [outcome(said("x"), kind="twin", seed=1, steps=1000), outcome(seed=1)]
    rows = dict(row[:2] for row in tables(healthy)[0].rows)
    rate = rows["false alarms per 1,000 healthy steps, warning or above"]
    assert rate == "1.000 [0.177, 5.643] (1)"
    assert rows["false alarms per 1,000 healthy steps, critical or above"].startswith(
        "0.000 [0.000"
    )


def test_slow_faults_are_timed_by_the_length_of_the_run():
    slow = next(name for name, one in known_faults().items() if not one.is_sudden)
    cause, onset = known_faults()[slow].cause, known_faults()[slow].onset
    found = outcome(said(cause, step=onset + 50), name=slow, steps=200)
    assert delays([found, outcome(said("missing-zero-grad", 7))]) == ([7], [0.25])
    late = {one.question: one for one in claims([found])}[
        "How late is a slow fault named (median)?"
    ]
    assert late.verdict == "contradicted"
