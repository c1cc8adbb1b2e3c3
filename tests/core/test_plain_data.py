"""Findings, causes, trials, diagnoses, events and experiments go into JSON and come back."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadytrain.core.action import (
    Applicability,
    Clip,
    Event,
    EventKind,
    Rollback,
    ScaleLR,
    Skip,
    Stop,
)
from steadytrain.core.causes import CAUSES, FAMILIES, cause_named
from steadytrain.core.diagnosis import Cause, Diagnosis, Trial
from steadytrain.core.errors import UnknownNameError
from steadytrain.core.experiment import Chart, Claim, Experiment, Series, Table
from steadytrain.core.finding import Finding, Severity

scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text()
evidence = st.dictionaries(
    st.text(), scalars | st.lists(st.floats() | st.text(), max_size=4), max_size=4
)
findings = st.builds(
    Finding,
    rule=st.text(),
    code=st.text(),
    severity=st.sampled_from(Severity),
    step=st.integers(0, 2**60),
    site=st.none() | st.text(),
    message=st.text(),
    causes=st.lists(st.text(), max_size=3).map(tuple),
    evidence=evidence,
)
trials = st.builds(
    Trial, change=st.text(), healthy=st.booleans(), outcome=st.text(), numbers=evidence
)
causes = st.builds(
    Cause,
    name=st.sampled_from(sorted(CAUSES)),
    code=st.text(),
    site=st.none() | st.text(),
    step=st.integers(0, 2**60),
    confidence=st.floats(0, 1),
    proven=st.booleans(),
    findings=st.lists(findings, max_size=2).map(tuple),
    trials=st.lists(trials, max_size=2).map(tuple),
    fix=st.text(),
    explanation=st.text(),
)


def through_json(data: object) -> object:
    return json.loads(json.dumps(data, allow_nan=False))


@given(findings)
def test_a_finding_comes_back_as_it_was(finding):
    assert Finding.from_json(through_json(finding.to_json())) == finding


@given(trials)
def test_a_trial_comes_back_as_it_was(trial):
    assert Trial.from_json(through_json(trial.to_json())) == trial


@given(st.lists(causes, max_size=2))
def test_a_diagnosis_comes_back_as_it_was(ranked):
    diagnosis = Diagnosis(causes=tuple(ranked), summary="what was found")
    again = Diagnosis.from_json(through_json(diagnosis.to_json()))
    assert again == diagnosis
    assert again.healthy is (not ranked)


def test_the_findings_of_a_diagnosis_are_a_list_whatever_they_were_given_as():
    finding = Finding(rule="r", code="c", severity=Severity.NOTE, step=0, message="m")
    for given_as in ((finding,), [finding], iter([finding])):
        assert Diagnosis(findings=given_as).findings == [finding]


def test_a_finding_and_a_diagnosis_are_printed_as_a_person_reads_them():
    finding = Finding(
        rule="loss-spike", code="DYN001", severity=Severity.WARNING, step=40, message="It jumped."
    )
    assert str(finding) == "step 40: warning loss-spike (DYN001): It jumped."
    cause = Cause(name="lr-too-high", code="OPT001", site="fc", confidence=0.4, fix="Lower it.")
    said = str(Diagnosis(causes=(cause,), findings=(finding,), summary="It blew up."))
    assert said.splitlines() == [
        "It blew up.",
        "1. lr-too-high (OPT001) at fc: not proven, confidence 40%",
        "   Lower it.",
    ]
    assert str(Diagnosis()) == "Healthy."


@given(st.sampled_from(get_args(EventKind)), st.integers(0, 2**60), st.text(), evidence)
def test_an_event_comes_back_as_it_was(kind, step, reason, numbers):
    event = Event(step=step, kind=kind, reason=reason, evidence=numbers)
    assert Event.from_json(through_json(event.to_json())) == event


def test_an_experiment_comes_back_as_it_was():
    series = Series(name="a", x=(1, 2), y=(0.5, None), low=(0.4, None), high=(0.6, None))
    experiment = Experiment(
        name="norms",
        title="Norms",
        summary="One is better.",
        data="digits",
        settings={"seeds": 3, "rate": 0.1, "note": None},
        claims=(Claim(question="q", expected="e", measured="m", verdict="holds"),),
        tables=(Table(title="t", columns=("a", "b"), rows=((1, "x"), (None, 2.5))),),
        charts=(Chart(title="c", x_label="x", y_label="y", series=(series,), log_y=True),),
    )
    assert Experiment.from_json(through_json(experiment.to_json())) == experiment


def test_numbers_of_numpy_become_plain_ones():
    numbers = {
        "a": np.float32(1.5),
        "b": np.int64(3),
        "c": np.bool_(True),
        "d": (np.float64(2), "x"),
    }
    finding = Finding(
        rule="r", code="c", severity=Severity.NOTE, step=np.int64(4), message="", evidence=numbers
    )
    assert finding.to_json()["evidence"] == {"a": 1.5, "b": 3, "c": True, "d": [2.0, "x"]}
    assert type(finding.step) is int


def test_what_json_cannot_carry_is_written_as_its_name():
    finding = Finding(
        rule="r",
        code="c",
        severity=Severity.NOTE,
        step=0,
        message="",
        evidence={"a": float("nan"), "b": np.inf},
    )
    assert finding.evidence == {"a": "nan", "b": "inf"}


def test_severities_are_ordered_and_read_in_any_case():
    assert Severity.NOTE < Severity.WARNING < Severity.CRITICAL
    assert Severity.parse("Warning") is Severity.WARNING
    with pytest.raises(UnknownNameError, match="warning"):
        Severity.parse("warnin")


def test_actions_say_their_kind_and_who_may_take_them():
    actions = [
        Skip(reason="r"), Clip(reason="r", max_norm=1.0), Rollback(reason="r", to_step=3),
        ScaleLR(reason="r", factor=0.5), Stop(reason="r", applicability=Applicability.AUTOMATIC),
    ]  # fmt: skip
    assert [a.kind for a in actions] == ["skip", "clip", "rollback", "lr-cut", "stop"]
    assert all(through_json(a.to_json()) == a.to_json() for a in actions)
    assert Applicability.ADVICE < Applicability.OPT_IN < Applicability.AUTOMATIC
    with pytest.raises(UnknownNameError, match="rollback"):
        Event(step=0, kind="rolback", reason="r")


def test_causes_carry_the_code_of_their_family():
    assert [CAUSES["nonfinite-input"].code, CAUSES["healthy"].code] == ["DAT001", "GEN003"]
    assert cause_named("lr-too-high").family == "OPT"
    assert all(cause.code.startswith(cause.family) for cause in CAUSES.values())
    assert set(FAMILIES) == {cause.family for cause in CAUSES.values()}
    with pytest.raises(UnknownNameError, match="lr-too-high"):
        cause_named("lr-to-high")
