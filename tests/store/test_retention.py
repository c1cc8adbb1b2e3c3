from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from store_runs import FailingDisk, number, small, steps_of

from steadytrain.core.action import Event
from steadytrain.core.columns import HEAD_ROWS
from steadytrain.core.errors import UsageError
from steadytrain.core.finding import Finding, Severity
from steadytrain.store.files import Disk
from steadytrain.store.limits import Limits
from steadytrain.store.reader import read_run
from steadytrain.store.retention import MAX_SEGMENTS, next_pair
from steadytrain.store.segments import SegmentInfo
from steadytrain.store.writer import RunWriter

WIDTH = 20


def disk_bytes(run_dir: Path) -> int:
    return sum(p.stat().st_size for p in (run_dir / "segments").glob("*"))


def add(writer: RunWriter, step: int) -> None:
    writer.add_row(step, "loss", number(step))
    writer.add_row(step, "grad_norm", [number(step, site) for site in range(WIDTH)])
    if step % 10 == 0:
        writer.add_row(step, "act_rms", [number(step)])


def long_run(run_dir: Path, num_steps: int, limits: Limits, disk: Disk | None = None) -> int:
    """Records a run, waiting for each merge; the most its segments ever took."""
    writer = RunWriter(run_dir, limits=limits, disk=disk)
    most = 0
    for step in range(num_steps):
        add(writer, step)
        if step % 5 == 4:
            writer.flush()
        if step % 25 == 24:
            writer._chain.wait()
            most = max(most, disk_bytes(run_dir))
    writer.close()
    return most


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    run_dir = tmp_path_factory.mktemp("long")
    return run_dir, long_run(run_dir, 6_000, small(128 << 10, full_steps=200))


def test_the_disk_stays_bounded_however_long_the_run(long: tuple[Path, int]) -> None:
    run_dir, most = long
    assert 6_000 * WIDTH * 4 > 3 * (128 << 10)
    assert most <= 128 << 10
    assert disk_bytes(run_dir) <= 128 << 10


def test_the_newest_steps_are_whole(long: tuple[Path, int]) -> None:
    history = read_run(long[0]).history
    assert steps_of(history)[-200:] == list(range(5_800, 6_000))
    assert steps_of(history, "grad_norm")[-200:] == list(range(5_800, 6_000))


@pytest.mark.parametrize(("stat", "every"), [("loss", 1), ("grad_norm", 1), ("act_rms", 10)])
def test_the_first_rows_of_a_statistic_are_whole(long: tuple[Path, int], stat, every) -> None:
    head = read_run(long[0]).history.head(stat, HEAD_ROWS)[0]
    assert head.tolist() == list(range(0, every * HEAD_ROWS, every))


def test_what_is_left_of_the_old_rows_is_what_was_measured(long: tuple[Path, int]) -> None:
    history = read_run(long[0]).history
    steps, values = history.measured("grad_norm")
    expected = [[number(step, site) for site in range(WIDTH)] for step in steps.tolist()]
    assert values.tolist() == expected


def test_old_rows_are_spread_over_the_whole_run(long: tuple[Path, int]) -> None:
    steps = np.array(steps_of(read_run(long[0]).history))
    assert np.diff(steps).max() <= 32
    assert len(steps) > 500


def test_statistics_of_one_cadence_keep_the_same_steps(long: tuple[Path, int]) -> None:
    history = read_run(long[0]).history
    assert steps_of(history, "loss") == steps_of(history, "grad_norm")


def test_says_which_steps_are_thinned(long: tuple[Path, int]) -> None:
    missing = read_run(long[0]).missing
    assert any("Steps 0 to" in s and "are thinned: one row in" in s for s in missing)
    assert all("thinned" in sentence for sentence in missing)


def test_a_thinned_run_is_taken_up_within_its_bounds(tmp_path: Path) -> None:
    limits = small(128 << 10, full_steps=100)
    for start in range(0, 3000, 500):
        writer = RunWriter(tmp_path, limits=limits)
        for step in range(start, start + 500):
            add(writer, step)
            if step % 5 == 4:
                writer.flush()
                writer._chain.wait()
        writer.close()
        assert disk_bytes(tmp_path) <= 128 << 10
    history = read_run(tmp_path).history
    assert steps_of(history)[-100:] == list(range(2900, 3000))
    assert steps_of(history)[:HEAD_ROWS] == list(range(HEAD_ROWS))


def test_many_short_sessions_are_merged_without_losing_a_row(tmp_path: Path) -> None:
    for session in range(MAX_SEGMENTS + 10):
        with RunWriter(tmp_path, limits=Limits(sync_seconds=0)) as writer:
            writer.add_sites("parameter", [f"p{session % 3}"])
            writer.add_row(session, "grad_norm", [session])
    saved = read_run(tmp_path)
    assert len(list((tmp_path / "segments").iterdir())) <= MAX_SEGMENTS + 1
    assert saved.missing == []
    for session in range(MAX_SEGMENTS + 10):
        row = saved.history.between("grad_norm", session, session + 1)[0]
        column = saved.history.sites("grad_norm").index(f"p{session % 3}")
        assert row[column] == session
        assert np.isnan(row).sum() == 2


def test_findings_events_meta_and_rollbacks_survive_merges(tmp_path: Path) -> None:
    finding = Finding(rule="r", code="X", severity=Severity.NOTE, step=30, message="m")
    writer = RunWriter(tmp_path, limits=small(64 << 10, full_steps=50))
    writer.add_meta({"name": "kept"})
    for step in range(1500):
        if step == 40:
            writer.add_finding(finding)
            writer.add_event(Event(step=40, kind="rollback", reason="to 20"))
            writer.add_row(77, "validation_loss", -1)
            writer.truncate(60)
        add(writer, step)
        if step % 5 == 4:
            writer.flush()
            writer._chain.wait()
    writer.close()
    saved = read_run(tmp_path)
    assert (saved.findings, len(saved.events), saved.meta["name"]) == ([finding], 1, "kept")
    assert "validation_loss" not in saved.history


@pytest.mark.filterwarnings("ignore::steadytrain.store.outage.StoreWarning")
@pytest.mark.parametrize("first", range(0, 400, 25))
def test_a_failing_call_anywhere_never_yields_a_wrong_row(tmp_path: Path, first: int) -> None:
    long_run(tmp_path, 700, small(64 << 10, full_steps=50), FailingDisk(first))
    saved = read_run(tmp_path)
    steps, values = saved.history.measured("grad_norm")
    expected = [[number(step, site) for site in range(WIDTH)] for step in steps.tolist()]
    assert values.tolist() == expected
    assert steps.tolist()[-50:] == list(range(650, 700))


# Kills itself in the middle of the Nth call of its kind, and writes half of what it was asked to.
KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from test_retention import FailingDisk, add, small
from steadytrain.store.files import Disk
from steadytrain.store.writer import RunWriter

class Killed(FailingDisk):
    def fail(self, name):
        os.kill(os.getpid(), signal.SIGKILL)

for line in sys.stdin:
    run_dir, first = line.split()
    pid = os.fork()
    if not pid:
        writer = RunWriter(run_dir, limits=small(64 << 10, full_steps=50), disk=Killed(int(first)))
        for step in range(700):
            add(writer, step)
            if step % 5 == 4 and writer.flush():
                os.write(1, f"{step}\\n".encode())
            writer._chain.wait()
        os._exit(0)
    os.waitpid(pid, 0)
    os.write(1, b"dead\\n")
"""


def test_killed_at_any_call_the_directory_reads_as_the_same_run(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(Path(__file__).parent)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as harness:
        assert harness.stdin
        assert harness.stdout
        for first in range(150, 480, 40):
            harness.stdin.write(f"{tmp_path / str(first)} {first}\n")
            harness.stdin.flush()
            lines = list(iter(harness.stdout.readline, "dead\n"))
            assert_same_run(tmp_path / str(first), int(lines[-1]))
        harness.stdin.close()


def assert_same_run(run_dir: Path, acknowledged: int) -> None:
    for take_up in (False, True):
        if take_up:
            with RunWriter(run_dir, limits=small(64 << 10, full_steps=50)) as writer:
                add(writer, acknowledged + 1)
        saved = read_run(run_dir)
        steps, values = saved.history.measured("grad_norm")
        expected = [[number(step, site) for site in range(WIDTH)] for step in steps.tolist()]
        assert values.tolist() == expected
        newest = range(max(0, acknowledged - 49), acknowledged + 1)
        assert set(newest) <= set(steps.tolist())
        assert all("thinned" in s or "no end mark" in s for s in saved.missing), saved.missing
    assert disk_bytes(run_dir) <= 64 << 10
    assert not list((run_dir / "segments").glob(".*"))


def info(number: int, level: int, num_bytes: int = 100, last_step: int | None = None):
    return SegmentInfo(number, number, num_bytes, level, number if last_step is None else last_step)


def test_merges_the_oldest_of_the_least_thinned() -> None:
    limits = Limits(max_bytes=64 << 10, full_steps=0)
    levels = [2, 1, 1, 0, 0, 0]
    segments = [info(n, level, 20_000) for n, level in enumerate(levels, 1)]
    assert next_pair(segments, limits) == 3


def test_leaves_the_newest_steps_alone_while_there_is_anything_older() -> None:
    limits = Limits(max_bytes=64 << 10, full_steps=50)
    old = [info(1, 3, 30_000, 10), info(2, 3, 30_000, 20)]
    new = [info(3, 0, 30_000, 100), info(4, 0, 30_000, 110)]
    assert next_pair([*old, *new], limits) == 0
    assert next_pair(new, limits) == 0


def test_merges_nothing_within_the_bounds() -> None:
    assert next_pair([info(n, 0) for n in range(10)], Limits()) is None


@pytest.mark.parametrize("wrong", [{"max_bytes": 100}, {"full_steps": -1}, {"sync_seconds": -1}])
def test_refuses_bounds_that_cannot_be_kept(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="got"):
        Limits(**wrong)


def test_these_tests_do_kill_processes() -> None:
    child = os.fork()
    if not child:
        FailingKill().make_directory(Path("/nowhere"))
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


class FailingKill(FailingDisk):
    def __init__(self) -> None:
        super().__init__(0)

    def fail(self, name: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
