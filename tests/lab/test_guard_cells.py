"""Finished runs of guard-faults are read again, and only what is theirs."""

import math

import pytest

from steadytrain.lab.guarding import cells
from steadytrain.lab.guarding.arms import GUARD
from steadytrain.lab.guarding.one_run import Job, Outcome


def job(seed=0, arm=GUARD):
    return Job(workload="LSTM", kind="nan-loss", arm=arm, seed=seed, steps=8)


@pytest.fixture
def runs(monkeypatch):
    """The jobs that were run; none of them trains."""
    done = []

    def run_job(job):
        done.append(job)
        return Outcome(
            job=job,
            cost=math.inf,
            reference=0.5,
            is_finite=False,
            has_ended=True,
            extra_fraction=0.0,
            events=(("skip", 2),),
        )

    monkeypatch.setattr(cells, "run_job", run_job)
    return done


def test_a_finished_run_is_not_run_again(runs, tmp_path):
    assert cells.finished_job(job(), tmp_path) is None
    first = cells.kept_job(job(), tmp_path)
    assert cells.kept_job(job(), tmp_path) == first
    assert cells.finished_job(job(), tmp_path) == first
    assert runs == [job()]


def test_every_job_has_a_file_of_its_own(runs, tmp_path):
    for one in (job(), job(seed=1), job(arm="bare")):
        cells.kept_job(one, tmp_path)
    assert len(list(tmp_path.iterdir())) == len(runs) == 3


@pytest.mark.parametrize("text", ["", "{", "[]", '{"job": {}}', '{"job": null, "events": 3}'])
def test_a_damaged_file_is_run_again(runs, tmp_path, text):
    whole = cells.kept_job(job(), tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text(text)
    assert cells.kept_job(job(), tmp_path) == whole
    assert len(runs) == 2


def test_a_run_by_other_code_does_not_count(runs, tmp_path, monkeypatch):
    cells.kept_job(job(), tmp_path)
    monkeypatch.setattr(cells, "_digest", lambda patterns: "another")
    assert cells.finished_job(job(), tmp_path) is None
