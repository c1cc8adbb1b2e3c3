"""What `kill -9` at a random moment leaves behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from store_runs import number, steps_of

from steadytrain.store.reader import read_run
from steadytrain.store.records import MAX_STEP

# The child imports once and forks a writer per trial, which is killed while it writes.
CHILD = """
import os, signal, sys
from steadytrain.store.limits import Limits
from steadytrain.store.writer import RunWriter
import steadytrain.store.merging
for line in sys.stdin:
    folder, start = line.split()
    pid = os.fork()
    if not pid:
        writer = RunWriter(folder, limits=Limits(max_bytes=1 << 20, full_steps=1 << 40, sync_seconds=0))
        step = int(start)
        while True:
            writer.add_row(step, "loss", float(step % 4096 * 8))
            writer.add_row(step, "grad_norm", [float(step % 4096 * 8 + s) for s in range(50)])
            if writer.flush():
                os.write(1, f"{step}\\n".encode())
            step += 1
    os.write(1, f"pid {pid}\\n".encode())
    os.waitpid(pid, 0)
    os.write(1, b"dead\\n")
"""


def kill_at_random(run_dir: Path, trial: int, harness: subprocess.Popen[str], start: int) -> int:
    """The last step that a writer acknowledged before it was killed; -1 without one."""
    generator = random.Random(trial)
    assert harness.stdin
    assert harness.stdout
    harness.stdin.write(f"{run_dir} {start}\n")
    harness.stdin.flush()
    acknowledged, lines = -1, iter(harness.stdout.readline, "dead\n")
    for line in lines:
        if line.startswith("pid"):
            time.sleep(generator.random() * 0.15)
            os.kill(int(line.split()[1]), signal.SIGKILL)
        else:
            acknowledged = max(acknowledged, int(line))
    return acknowledged


@pytest.fixture
def harness():
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.stdin.close()
        process.wait()


@pytest.mark.parametrize("num_trials", [8, pytest.param(50, marks=pytest.mark.slow)])
def test_no_acknowledged_row_is_lost_and_none_is_wrong(tmp_path: Path, harness, num_trials) -> None:
    num_acknowledged = 0
    for trial in range(num_trials):
        run_dir = tmp_path / str(trial)
        acknowledged = kill_at_random(run_dir, trial, harness, 0)
        num_acknowledged += acknowledged + 1
        if acknowledged >= 0:
            assert_right(run_dir, acknowledged)
    assert num_acknowledged > num_trials


def test_a_run_killed_and_taken_up_again_and_again_loses_nothing(tmp_path: Path, harness) -> None:
    step = -1
    for trial in range(6):
        step = max(step, kill_at_random(tmp_path / "run", 100 + trial, harness, step + 1))
    assert_right(tmp_path / "run", step)


def assert_right(run_dir: Path, acknowledged: int) -> None:
    saved = read_run(run_dir)
    for stat, num_sites in (("loss", 1), ("grad_norm", 50)):
        steps = steps_of(saved.history, stat)
        assert max(steps) < MAX_STEP
        if not any("thinned" in sentence for sentence in saved.missing):
            assert steps[: acknowledged + 1] == list(range(acknowledged + 1))
        rows = saved.history.measured(stat)[1]
        expected = [[number(step, site) for site in range(num_sites)] for step in steps]
        assert rows.tolist() == expected
    assert all("no end mark" in s or "thinned" in s for s in saved.missing), saved.missing
