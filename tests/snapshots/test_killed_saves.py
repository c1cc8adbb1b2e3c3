"""`kill -9` at every call of the disk, and at random moments, leaves a whole snapshot behind."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from steadytrain.snapshots import Checkpoints, restore

HERE = str(Path(__file__).parent)

# The child imports once and forks a process per trial, which kills itself or is killed.
CHILD = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import torch
from snapshot_parts import FailingDisk
from steadytrain.snapshots import Checkpoints, capture

class KillingDisk(FailingDisk):
    def _die(self):
        os.kill(os.getpid(), signal.SIGKILL)

torch.set_num_threads(1)
def parts(step):
    return {"extra": {"weights": torch.full((3000,), float(step)), "step": step}}

for line in sys.stdin:
    folder, at = line.split()
    pid = os.fork()
    if not pid:
        checkpoints = Checkpoints(Path(folder), disk=KillingDisk(int(at)))
        for step in range(1, 100_000):
            checkpoints.save(capture(parts(step), step=step))
            os.write(1, f"{step}\\n".encode())
    os.write(1, f"pid {pid}\\n".encode())
    os.waitpid(pid, 0)
    os.write(1, b"dead\\n")
"""


@pytest.fixture(scope="module")
def harness():
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", CHILD, HERE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.stdin.close()
        process.wait()


def run_until_killed(harness, folder, at=-1, seconds=None):
    """The last step whose save was acknowledged before the process died; 0 without one.

    The seconds count from the first save, so that a slow machine kills no later and no earlier.
    """
    harness.stdin.write(f"{folder} {at}\n")
    harness.stdin.flush()
    acknowledged, pid = 0, None
    for line in iter(harness.stdout.readline, "dead\n"):
        if line.startswith("pid"):
            pid = int(line.split()[1])
        else:
            acknowledged = max(acknowledged, int(line))
        if seconds is not None and pid is not None and acknowledged:
            time.sleep(seconds)
            os.kill(pid, signal.SIGKILL)
            seconds = None
    return acknowledged


def assert_whole(folder, acknowledged):
    """What is there was saved last, or was being saved: every number in it is of one step."""
    loaded = Checkpoints(folder).load_newest()
    if loaded is None:
        assert acknowledged == 0
        return
    assert loaded.damaged == ()
    assert loaded.snapshot.step in (acknowledged, acknowledged + 1)
    found = {"weights": torch.zeros(3000), "step": 0}
    restore(loaded.snapshot, {"extra": found})
    assert found["step"] == loaded.snapshot.step
    assert torch.equal(found["weights"], torch.full((3000,), float(loaded.snapshot.step)))


def test_a_process_that_is_killed_at_any_call_of_the_disk_loses_no_acknowledged_step(
    tmp_path, harness
):
    seen = set()
    for at in range(40):
        acknowledged = run_until_killed(harness, tmp_path / str(at), at)
        assert_whole(tmp_path / str(at), acknowledged)
        seen.add(acknowledged)
    assert {0, 1, 2} <= seen


@pytest.mark.parametrize("num_trials", [10, pytest.param(250, marks=pytest.mark.slow)])
def test_a_process_that_is_killed_at_any_moment_loses_no_acknowledged_step(
    tmp_path, harness, num_trials
):
    generator = random.Random(num_trials)
    num_saved = 0
    for trial in range(num_trials):
        folder = tmp_path / str(trial)
        acknowledged = run_until_killed(harness, folder, seconds=generator.random() * 0.08)
        assert_whole(folder, acknowledged)
        num_saved += acknowledged
    assert num_saved >= num_trials
