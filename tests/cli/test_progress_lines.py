"""In a log, progress is a line now and then."""

import pytest

from steadytrain.cli import _progress


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(_progress, "monotonic", lambda: now[0])
    return now


def test_quick_work_is_said_at_its_beginning_and_at_its_end(clock, capfd):
    with _progress.progress_bar("preflight") as report:
        for done in range(1, 71):
            clock[0] += 0.01
            report(done, 70, "a-check")
    said = capfd.readouterr().err.splitlines()
    assert said == ["preflight: 1 of 70, a-check", "preflight: 70 of 70, a-check"]


def test_long_work_is_said_every_few_seconds(clock, capfd):
    with _progress.progress_bar("lab") as report:
        for done in range(1, 5):
            clock[0] += _progress.LINE_SECONDS - 1
            report(done, 9, "a run")
    assert capfd.readouterr().err.splitlines() == ["lab: 1 of 9, a run", "lab: 3 of 9, a run"]
