"""Scoring the doctor: its figures on verdicts made by hand, and what is kept of a verdict."""

import json

import pytest

from steadytrain.core.diagnosis import Cause, Diagnosis
from steadytrain.lab.doctoring import examining
from steadytrain.lab.doctoring.examining import Examination, examine
from steadytrain.lab.doctoring.figures import calibration_error, claims, shares
from steadytrain.lab.doctoring.plan import all_jobs, program_of
from steadytrain.lab.doctoring.restoring import is_restored
from steadytrain.lab.doctoring.tables import charts, tables
from steadytrain.lab.doctoring.verdicts import Said, Verdict
from steadytrain.lab.zoo.case import Case
from steadytrain.lab.zoo.planting import known_controls, known_faults, unchanged
from steadytrain.lab.zoo.scoring import Job


def verdict(*names, kind="fault", confidence=0.9, proven=True, site=None, restored=True):
    job = Job(kind=kind, name="missing-zero-grad", architecture="mlp", seed=5)
    causes = tuple(
        Said(name=name, site=site, confidence=confidence, proven=proven) for name in names
    )
    return Verdict(job=job, causes=causes, cost=5.0, seconds=2.0, steps=200, restored=restored)


def test_the_right_cause_counts_by_its_place():
    second = verdict("lr-too-high", "missing-zero-grad")
    assert not second.is_right
    assert second.is_right_among(3)
    found = shares([second, verdict("missing-zero-grad")])
    assert str(found["right cause first"]).startswith("1/2")
    assert str(found["right cause among three"]).startswith("2/2")


def test_a_cause_said_of_a_healthy_program_is_wrong_and_a_proven_one_is_counted():
    found = shares([verdict(kind="twin"), verdict("lr-too-high", kind="twin")])
    assert str(found["said healthy of healthy"]).startswith("1/2")
    assert str(found["proven cause of healthy"]).startswith("1/2")


def test_the_place_counts_where_the_fault_has_one():
    job = Job(kind="fault", name="large-head", architecture="mlp", seed=0)
    (place, *_) = known_faults()["large-head"].places(case(job))
    made = [
        Said(name="init-too-large", site=site, confidence=0.9, proven=True)
        for site in (place, None)
    ]
    right, wrong = (Verdict(job=job, causes=(one,), cost=1.0, seconds=1.0) for one in made)
    assert right.is_placed is True
    assert wrong.is_placed is False
    assert verdict("missing-zero-grad").is_placed is None


def case(job):

    return Case(architecture=job.architecture, seed=job.seed)


def test_a_program_that_no_change_can_repair_is_not_counted_as_unrestored():
    found = shares([verdict("lr-too-high", restored=None), verdict("lr-too-high", restored=False)])
    assert str(found["fix restores training"]).startswith("0/1")


def test_confidence_that_is_as_often_right_as_it_says_has_no_error():
    half = [verdict("missing-zero-grad", confidence=0.5), verdict("lr-too-high", confidence=0.5)]
    assert calibration_error(half) == pytest.approx(0.0)
    assert calibration_error([verdict("lr-too-high", confidence=1.0)]) == pytest.approx(1.0)
    assert calibration_error([]) == 0.0


def test_a_figure_below_what_is_expected_is_said_to_be_contradicted():
    good = {one.question: one.verdict for one in claims([verdict("missing-zero-grad")], "part")}
    assert good["part: right cause first"] == "holds"
    bad = {one.question: one.verdict for one in claims([verdict("lr-too-high")], "part")}
    assert bad["part: right cause first"] == "contradicted"


def test_every_faulty_program_has_its_row_and_healthy_ones_only_where_they_were_not_said_to_be():
    own = [verdict("missing-zero-grad"), verdict(kind="twin"), verdict("bad-batch", kind="twin")]
    faulty, healthy = tables({"part": own})
    assert len(faulty.rows) == 1
    assert len(healthy.rows) == 1
    assert all(len(row) == len(faulty.columns) for row in (*faulty.rows, *healthy.rows))
    assert {one.title for one in charts({"part": own})}


def test_a_verdict_survives_a_trip_through_json():
    one = verdict("missing-zero-grad", "bad-batch", site="net.0")
    assert Verdict.from_json(json.loads(json.dumps(one.to_json()))) == one


PLAIN = {on for one in known_faults().values() if one.prepare is unchanged for on in one.on}


def test_each_half_asks_about_every_fault_and_control_and_every_architecture():
    jobs = all_jobs(1, None, is_quick=False)
    for only in (False, True):
        half = [job for job in jobs if job.is_scored_only is only]
        assert {j.name for j in half if j.kind == "fault"} == set(known_faults())
        assert {j.name for j in half if j.kind == "control"} == set(known_controls())
    assert {j.architecture for j in half if j.kind == "twin"} == PLAIN


def test_no_program_is_asked_about_in_both_halves():
    jobs = all_jobs(2, None, is_quick=False)
    assert len(set(jobs)) == len(jobs)


def test_a_kept_verdict_is_read_again_until_the_doctor_changes(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(examining, "_examined", lambda _: made.append(1) or verdict("bad-batch"))
    asked = Examination(job=verdict().job, folder=tmp_path)
    assert examine(asked) == examine(asked)
    assert len(made) == 1
    monkeypatch.setattr(examining, "doctors_digest", lambda: "another")
    examine(asked)
    assert len(made) == 2


def test_a_kept_verdict_that_is_damaged_is_reached_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(examining, "_examined", lambda _: verdict("bad-batch"))
    asked = Examination(job=verdict().job, folder=tmp_path)
    examine(asked)
    (kept,) = tmp_path.iterdir()
    kept.write_text("{", encoding="utf-8")
    assert examine(asked).causes[0].name == "bad-batch"


def test_a_fix_that_does_nothing_does_not_restore_and_the_right_one_does():
    job = Job(kind="fault", name="rate-hundredfold", architecture="mlp", seed=0)
    program, _ = program_of(job)
    cause = Cause(name="lr-too-high", code="OPT001")
    idle = Diagnosis(causes=(cause,), fixer=lambda own: own)
    assert is_restored(job, idle, program, 40) is False
    twin = known_faults()[job.name].twin(case(job))
    whole = Diagnosis(causes=(cause,), fixer=lambda _: twin)
    assert is_restored(job, whole, program, 40) is True


def test_a_diagnosis_without_a_fix_restores_nothing_and_a_healthy_program_is_not_asked():
    job = Job(kind="fault", name="rate-hundredfold", architecture="mlp", seed=0)
    program, _ = program_of(job)
    assert is_restored(job, Diagnosis(), program, 40) is False
    control = Job(kind="twin", name="rate-hundredfold", architecture="mlp", seed=0)
    assert is_restored(control, Diagnosis(), program, 40) is None
