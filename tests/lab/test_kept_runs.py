"""Runs of the fault lab are kept: read again they are judged as they were when they were made."""

import dataclasses

import numpy as np
import pytest
import torch

import steadytrain as st
from steadytrain.lab.fault_lab import all_jobs
from steadytrain.lab.zoo import kept as keeping
from steadytrain.lab.zoo import running
from steadytrain.lab.zoo.kept import Kept, code_of, read_kept, write_kept
from steadytrain.lab.zoo.planting import known_faults, twin_of
from steadytrain.lab.zoo.running import judge_kept, kept_path, program_of, run_job, source_of
from steadytrain.lab.zoo.scoring import Job

JOB = Job(kind="fault", name="nan-in-a-batch", architecture="mlp", seed=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which one run is kept."""
    made = tmp_path_factory.mktemp("kept")
    run_job(JOB, made)
    return made


@pytest.fixture
def forbids_training(monkeypatch):
    def refuse(job):
        pytest.fail(f"{job} was trained")

    monkeypatch.setattr(running, "measured", refuse)


def test_a_kept_run_is_judged_as_it_was_live(folder):
    program, steps = program_of(JOB)
    torch.manual_seed(JOB.seed)
    live = st.train(program, steps=steps, progress=False).findings()
    again = judge_kept(JOB, folder).said
    assert live
    assert [(one.rule, one.step, one.site) for one in again] == [
        (one.rule, one.step, one.site) for one in live
    ]


def test_a_kept_run_holds_what_was_measured(folder):
    program, steps = program_of(JOB)
    torch.manual_seed(JOB.seed)
    history = st.train(program, steps=steps, progress=False).history
    same = read_kept(kept_path(folder, JOB)).history
    assert same.stats == history.stats
    assert same.sites_of("module") == history.sites_of("module")
    for stat in set(history.stats) - {"step_seconds", "watch_seconds", "memory_bytes"}:
        np.testing.assert_array_equal(same.window(stat), history.window(stat))


@pytest.mark.usefixtures("forbids_training")
def test_a_run_of_the_same_code_is_not_made_again(folder):
    assert run_job(JOB, folder).said == judge_kept(JOB, folder).said


def test_a_run_of_other_code_is_made_again(folder, monkeypatch):
    made = []
    monkeypatch.setattr(running, "code_of", lambda path: "another")
    measured = running.measured
    monkeypatch.setattr(running, "measured", lambda job: made.append(job) or measured(job))
    run_job(JOB, folder)
    assert made == [JOB]
    monkeypatch.undo()
    run_job(JOB, folder)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_a_damaged_file_is_no_run(tmp_path, content):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    assert read_kept(path) is None
    assert read_kept(tmp_path / "absent.npz") is None


def test_what_the_watch_said_by_itself_is_kept(tmp_path):
    finding = st.Finding(
        rule="broken-probe", code="LOP000", severity=st.Severity.WARNING, step=3, message="m"
    )
    kept = Kept(
        history=st.History(),
        steps=5,
        seconds=1.0,
        watch_seconds=0.5,
        metrics={"loss": float("nan"), "validation_metric": 0.5},
        findings=(finding,),
        code="c",
    )
    write_kept(tmp_path / "deep" / "a.npz", kept)
    again = read_kept(tmp_path / "deep" / "a.npz")
    assert again.findings == (finding,)
    assert np.isnan(again.metrics["loss"])
    assert dataclasses.replace(again, history=kept.history, metrics=kept.metrics) == kept


def test_the_code_of_a_run_is_its_own_file_and_what_measures(tmp_path, monkeypatch):
    one, other = source_of(JOB), tmp_path / "other.py"
    other.write_text("OTHER = 1\n")
    assert code_of(one) != code_of(other)
    before = code_of(one)
    monkeypatch.setattr(keeping, "_sources", lambda: [other])
    keeping._shared.cache_clear()
    try:
        assert code_of(one) != before
    finally:
        keeping._shared.cache_clear()


def test_judging_is_no_part_of_the_code_of_a_run():
    names = {path.name for path in keeping._sources()}
    assert "scoring.py" not in names
    assert {"classifiers.py", "session.py", "stats.py", "foreach.py"} <= names


def test_faults_that_change_the_same_program_share_its_run():
    jobs = all_jobs(1, None, is_quick=False)
    twins = [(job.name, job.architecture) for job in jobs if job.kind == "twin"]
    planted = [(job.name, job.architecture) for job in jobs if job.kind == "fault"]
    assert len(twins) == len(set(twins)) < len(planted)
    assert {twin_of(name, on) for name, on in planted} == set(twins)
    known = known_faults()
    assert all(known[twin_of(n, on)[0]].prepare is known[n].prepare for n, on in planted)
