"""A run that alarms nobody and learns nothing, and one that only looks so."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.doctor.nominating import starts_nonfinite
from steadytrain.doctor.observing import Observation
from steadytrain.doctor.reading import read
from steadytrain.doctor.scene import LossCall
from steadytrain.doctor.silence import is_silent, no_progress, summed_loss

STEPS = 80
WIGGLE = 0.01 * (-1.0) ** np.arange(STEPS)


def observed(losses: Any, call: LossCall | None = None, *findings: Finding) -> Observation:
    return Observation(
        asked=STEPS,
        steps=STEPS,
        losses=tuple(map(float, losses)),
        history=History(),
        findings=findings,
        loss_calls=() if call is None else (call,),
    )


def entropy(reduction: str = "mean") -> LossCall:
    return LossCall(
        name="cross_entropy",
        input=torch.zeros(40, 4),
        target=torch.arange(40) % 4,
        arguments={"reduction": reduction},
    )


def silent(run: Observation) -> bool:
    return is_silent(run, read(run))


def test_a_loss_that_stays_is_silent_and_one_that_falls_is_not() -> None:
    assert silent(observed(2.0 + WIGGLE))
    assert not silent(observed(np.geomspace(2.0, 0.1, STEPS)))


def test_a_classifier_that_ends_at_a_constant_guess_is_silent() -> None:
    losses = math.log(4) + np.geomspace(1.0, 1e-4, STEPS) + WIGGLE
    assert silent(observed(losses, entropy()))
    assert not silent(observed(losses - 0.5, entropy()))
    assert not silent(observed(losses))


def test_a_classifier_that_still_falls_at_that_level_is_not_silent() -> None:
    assert not silent(observed(np.linspace(3.0, 1.4, STEPS), entropy()))


def test_a_loss_of_both_signs_is_no_measure_of_progress() -> None:
    assert not silent(observed(WIGGLE))


def test_an_alarm_is_not_silence() -> None:
    loud = Finding(rule="r", code="c", severity=Severity.WARNING, step=1, message="m")
    run = observed(2.0 + WIGGLE, None, loud)
    assert not silent(run)
    assert list(no_progress(run, read(run))) == []


def test_a_sum_is_said_only_where_the_run_is_in_trouble() -> None:
    loud = Finding(rule="r", code="c", severity=Severity.WARNING, step=1, message="m")
    trouble, calm = observed(WIGGLE, entropy("sum"), loud), observed(WIGGLE, entropy("sum"))
    assert [f.causes for f in summed_loss(trouble, read(trouble))] == [("loss-reduction",)]
    assert list(summed_loss(calm, read(calm))) == []


def test_a_first_alarm_that_is_not_finite_is_told_from_one_that_follows_another() -> None:
    def alarm(rule: str, step: int) -> Finding:
        return Finding(rule=rule, code="c", severity=Severity.CRITICAL, step=step, message="m")

    born = [alarm("nonfinite-gradient", 13), alarm("nonfinite-loss", 13), alarm("divergence", 20)]
    assert starts_nonfinite(born)
    assert not starts_nonfinite([alarm("update-ratio-too-large", 0), *born])
    assert not starts_nonfinite([])


def test_what_is_solved_in_its_first_step_has_learned() -> None:
    solved = np.where(np.arange(STEPS) < 1, 40.0, 1e-9)
    assert read(observed(solved)).learned
    assert not silent(observed(solved))
    assert not read(observed(np.where(np.arange(STEPS) < 1, 2.2, 2.0) + WIGGLE)).learned
