"""What counts as healthy, and as restored."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.doctor.health import Judgement, Noise, judge_trial, merits
from steadytrain.doctor.observing import Observation
from steadytrain.doctor.reading import read
from steadytrain.doctor.repairs import Repair

STEPS = 60
FALLING = tuple(np.geomspace(2.0, 0.1, STEPS))
STILL = tuple(2.0 + 0.01 * (-1) ** np.arange(STEPS))


def alarm(step: int = 10, severity: Severity = Severity.WARNING) -> Finding:
    return Finding(rule="loud", code="X", severity=severity, step=step, message="m")


def run_of(losses: tuple[float, ...], *findings: Finding, **other: Any) -> Observation:
    return Observation(
        asked=STEPS, steps=len(losses), losses=losses, history=History(), findings=findings, **other
    )


def judged(trial: Observation, base: Observation, noise: Noise | None = None) -> Judgement:
    return judge_trial(trial, base, noise or Noise(), STEPS, is_comparable=True, is_game=False)


def test_a_falling_loss_without_an_alarm_restores_a_run_that_alarmed() -> None:
    assert judged(run_of(FALLING), run_of(STILL, alarm())).healthy


def test_a_note_is_no_alarm() -> None:
    assert judged(run_of(FALLING, alarm(severity=Severity.NOTE)), run_of(STILL, alarm())).healthy


@pytest.mark.parametrize(
    ("trial", "reason"),
    [
        (run_of((*FALLING[:-1], math.nan)), "not finite"),
        (run_of((*FALLING[:-1], math.inf)), "not finite"),
        (run_of(FALLING[:30]), "not finite"),
        (run_of(FALLING[:30], error="ValueError: x"), "raised ValueError"),
        (run_of(FALLING, alarm()), "still loud"),
        (run_of(STILL), "the loss stays"),
    ],
)
def test_is_not_restored(trial: Observation, reason: str) -> None:
    outcome = judged(trial, run_of(STILL, alarm()))
    assert not outcome.healthy
    assert reason in outcome.outcome


def test_is_not_restored_by_a_loss_that_falls_a_quarter_as_far() -> None:
    slow = tuple(np.linspace(2.0, 1.5, STEPS))
    outcome = judged(run_of(slow), run_of(FALLING, alarm()))
    assert "above the" in outcome.outcome


def test_an_alarm_after_the_length_that_is_judged_does_not_count() -> None:
    assert read(run_of(FALLING, alarm(step=40)), 30).alarms == frozenset()


def test_a_silent_run_must_improve_clearly() -> None:
    hardly = tuple(2.0 - 0.001 * at for at in range(STEPS))
    assert not judged(run_of(hardly), run_of(STILL)).healthy
    assert judged(run_of(FALLING), run_of(STILL)).healthy


def test_an_improvement_within_the_noise_is_none() -> None:
    assert not judged(run_of(FALLING), run_of(STILL), Noise(loss=5.0)).healthy


def test_an_uneven_run_that_learned_must_get_better() -> None:
    uneven = Finding(rule="loss-spike", code="DYN1", severity=Severity.WARNING, step=9, message="m")
    assert not judged(run_of(FALLING), run_of(FALLING, uneven)).healthy
    higher = tuple(v + 0.1 for v in FALLING)
    assert judged(run_of(FALLING), run_of(higher, uneven)).healthy


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_the_scale_of_the_loss_does_not_matter(scale: float) -> None:
    falling = tuple(scale * v for v in FALLING)
    still = tuple(scale * v for v in STILL)
    assert judged(run_of(falling), run_of(still)).healthy
    assert judged(run_of(falling), run_of(still, alarm())).healthy


def test_a_game_may_be_healthy_without_a_falling_loss() -> None:
    trial, base = run_of(STILL), run_of(STILL, alarm())
    assert judge_trial(trial, base, Noise(), STEPS, is_comparable=True, is_game=True).healthy


def test_merit_orders_healthy_trials_by_what_they_reach() -> None:
    base = run_of(STILL, alarm())
    slow = tuple(np.linspace(2.0, 1.5, STEPS))
    found = merits(
        {"fast": judged(run_of(FALLING), base), "slow": judged(run_of(slow), base)}, math.nan
    )
    assert found["fast"] == 1.0
    assert 0 < found["slow"] < 0.5


def test_merit_is_a_number_where_the_observed_run_has_no_metric() -> None:
    found = merits({"one": judged(run_of(FALLING, metric=-0.5), run_of(STILL, alarm()))}, math.nan)
    assert found == {"one": 1.0}


def test_falling_back_to_where_the_observed_run_began_restores_nothing() -> None:
    from_above = tuple(np.geomspace(8.0, 2.0, STEPS))
    outcome = judged(run_of(from_above), run_of(STILL, alarm()))
    assert not outcome.healthy
    assert "where the observed run began" in outcome.outcome


def test_a_trial_that_was_cut_at_its_alarm_is_said_to_alarm() -> None:
    outcome = judged(run_of(FALLING[:30], alarm(), cut=True), run_of(STILL, alarm(2)))
    assert not outcome.healthy
    assert "still loud" in outcome.outcome
    assert math.isfinite(outcome.gain)


def mended(trial: Observation, base: Observation, check: str, *, passes: bool = True) -> Judgement:
    asked = frozenset({check})
    repair = Repair(asked=asked, passed=asked if passes else frozenset())
    return judge_trial(
        trial, base, Noise(), STEPS, is_comparable=True, is_game=False, repair=repair
    )


def test_a_check_that_passes_restores_a_quiet_run_that_gets_no_worse() -> None:
    outcome = mended(run_of(FALLING), run_of(FALLING), "broken-weight-tying")
    assert outcome.healthy
    assert outcome.mended
    assert "broken-weight-tying passes" in outcome.outcome


def test_a_check_that_still_fails_or_a_run_that_gets_worse_restores_nothing() -> None:
    base = run_of(FALLING)
    assert not mended(run_of(FALLING), base, "broken-weight-tying", passes=False).healthy
    assert not mended(run_of(STILL), base, "broken-weight-tying").healthy


def test_without_a_leak_the_honest_loss_may_be_higher() -> None:
    honest = tuple(np.geomspace(2.0, 1.7, STEPS))
    assert mended(run_of(honest), run_of(FALLING), "looks-ahead").healthy
    assert not mended(run_of(honest), run_of(FALLING), "broken-weight-tying").healthy


def test_a_check_that_passes_excuses_no_alarm() -> None:
    assert not mended(run_of(FALLING, alarm()), run_of(FALLING), "looks-ahead").healthy
    assert not mended(run_of(STILL), run_of(STILL, alarm()), "looks-ahead").mended
