import operator
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from steadytrain.lab.sweep import InProcess, executor_for, run_all


def sweep(work, jobs, executor):
    reports = []
    found = run_all(jobs, work, executor, lambda *report: reports.append(report), str)
    return found, reports


def test_records_come_in_the_order_of_the_jobs_and_each_is_reported():
    found, reports = sweep(operator.neg, [3, 1, 2], InProcess())
    assert found == [-3, -1, -2]
    assert reports == [(1, 3, "3"), (2, 3, "1"), (3, 3, "2")]


def test_any_executor_will_do():
    with ThreadPoolExecutor(2) as pool:
        found, reports = sweep(operator.neg, list(range(20)), pool)
    assert found == [-job for job in range(20)]
    assert [done for done, _, _ in reports] == list(range(1, 21))


def test_processes_give_the_same_records():
    with executor_for(2) as pool:
        found, _ = sweep(operator.neg, [1, 2, 3], pool)
    assert found == [-1, -2, -3]


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_first_error_ends_the_sweep(jobs):
    with executor_for(jobs) as pool, pytest.raises(TypeError, match="bad operand"):
        sweep(operator.neg, [1, "not a number", 2], pool)


def test_one_job_stays_in_this_process():
    with executor_for(1) as pool:
        assert isinstance(pool, InProcess)


LONG_SWEEP = """
import os, time
from steadytrain.lab.sweep import executor_for
if __name__ == "__main__":
    with executor_for(2) as pool:
        print(pool.submit(os.getppid).result(), *pool._processes, flush=True)
        pool.submit(time.sleep, 600).result()
"""


def is_running(pid):
    """Whether the process is there and is more than a name in the table."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_the_sweep(tmp_path, how):
    script = tmp_path / "sweep.py"
    script.write_text(LONG_SWEEP)
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as sweep:
        parent, *workers = map(int, sweep.stdout.readline().split())
        assert parent == sweep.pid
        assert all(is_running(worker) for worker in workers)
        for pid in [sweep.pid, *workers] if how == signal.SIGINT else [sweep.pid]:
            os.kill(pid, how)
        sweep.wait()
    deadline = time.monotonic() + 60
    while any(map(is_running, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [worker for worker in workers if is_running(worker)]
