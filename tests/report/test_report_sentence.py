"""The one sentence: what went wrong first, where and when, or that nothing did."""

import math

import pytest
from report_runs import diverged, finding, healthy, lab_page, run_of, saved

from steadytrain.core.finding import Severity
from steadytrain.core.history import History
from steadytrain.report.sentence import what_happened


def history_of(losses: list[float]) -> History:
    history = History(capacity=None)
    for step, loss in enumerate(losses):
        history.append(step, "loss", loss)
        history.append(step, "loss_num_nonfinite", float(math.isnan(loss)))
    return history


def test_a_falling_loss_without_findings_is_healthy() -> None:
    outcome = what_happened(healthy())
    assert outcome.state == "healthy"
    assert outcome.text == "Healthy: in 600 steps the loss went from 2.442 to 0.09515."


def test_a_broken_run_is_told_by_its_first_critical_finding_and_its_first_sign() -> None:
    outcome = what_happened(diverged())
    assert outcome.state == "critical"
    assert outcome.text == (
        "Training broke at step 312: nonfinite loss, after a first sign at step 298 (exploding "
        "gradient in conv2.weight); the loss, last 0.6306, is not finite from step 312 on."
    )


def test_a_run_that_recovered_is_not_said_to_have_ended_there() -> None:
    run = healthy()
    run.findings = [finding(step=60, severity=Severity.CRITICAL, rule="exploding-gradient")]
    outcome = what_happened(run)
    assert outcome.state == "critical"
    assert outcome.text.startswith("Training went on, after a break at step 60: exploding gradient")
    run.findings = [finding(step=599, severity=Severity.CRITICAL, rule="exploding-gradient")]
    assert what_happened(run).text.startswith("Training broke at step 599: ")


def test_a_warning_alone_is_told_as_something_to_look_at() -> None:
    run = healthy()
    run.findings = [finding(step=70, site="fc1"), finding(step=40, rule="dead-units", site="relu1")]
    outcome = what_happened(run)
    assert outcome.state == "warning"
    assert outcome.text.startswith("Training went on, but look at step 40: dead units in relu1; ")


def test_notes_do_not_make_a_run_unhealthy() -> None:
    run = healthy()
    run.findings = [finding(severity=Severity.NOTE)]
    assert what_happened(run).state == "healthy"
    assert "(1 note below)" in what_happened(run).text


@pytest.mark.parametrize("losses", [[2.0] * 50, [1.0, 2.0, 3.0], [2.0, 2.0]])
def test_a_loss_that_did_not_fall_is_not_called_healthy(losses: list[float]) -> None:
    outcome = what_happened(saved(history=history_of(losses)))
    assert outcome.state == "warning"
    assert "did not fall" in outcome.text


def test_a_nan_loss_without_findings_is_not_called_healthy() -> None:
    outcome = what_happened(saved(history=history_of([2.0, 1.0, math.nan, 0.5])))
    assert outcome.state == "critical"
    assert "was not finite on 1 step, first at step 2" in outcome.text


def test_a_loss_that_was_never_finite_is_said() -> None:
    outcome = what_happened(saved(history=history_of([math.nan, math.nan])))
    assert outcome.text == "No rule spoke, but the loss was never finite."


def test_an_infinite_loss_counts_as_not_finite() -> None:
    outcome = what_happened(saved(history=history_of([2.0, 1.0, math.inf])))
    assert outcome.text == "No rule spoke, but the loss, last 1, is not finite from step 2 on."


def test_a_run_without_a_loss_says_so() -> None:
    history = History(capacity=None)
    history.append(0, "grad_norm_total", 1.0)
    outcome = what_happened(saved(history=history))
    assert outcome.state == "note"
    assert outcome.text == "No rule found anything in 1 step; no loss was logged."


def test_an_empty_run_says_that_nothing_was_measured() -> None:
    assert what_happened(saved()).state == "empty"


def test_one_step_is_neither_healthy_nor_broken() -> None:
    assert what_happened(run_of(1)).state == "note"


def test_an_experiment_without_steps_is_told_by_its_title() -> None:
    assert what_happened(lab_page()).text == "The lesson's CNN, with and without tricks."


def test_a_hostile_site_is_made_visible() -> None:
    run = healthy()
    run.findings = [finding(site="\x1b[2Jlayer\n")]
    assert "\\x1b[2Jlayer\\n" in what_happened(run).text
