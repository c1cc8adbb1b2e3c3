from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from store_runs import add_step, number, record, steps_of

from steadytrain.core.errors import RunBusyError
from steadytrain.store.outage import StoreWarning
from steadytrain.store.reader import find_runs, read_run
from steadytrain.store.writer import RunWriter


def test_a_second_writer_gets_a_directory_of_its_own_and_says_so(tmp_path: Path) -> None:
    first = record(tmp_path, range(3), close=False)
    with pytest.warns(StoreWarning, match="run-2"):
        second = record(tmp_path, range(100, 105))
    first.close()
    assert second.run_dir == tmp_path / "run-2"
    assert find_runs(tmp_path) == [tmp_path, tmp_path / "run-2"]
    assert steps_of(read_run(tmp_path).history) == [0, 1, 2]
    assert steps_of(read_run(second.run_dir).history) == list(range(100, 105))


@pytest.mark.filterwarnings("ignore::steadytrain.store.outage.StoreWarning")
def test_a_third_writer_never_takes_up_the_run_of_the_second(tmp_path: Path) -> None:
    first = record(tmp_path, range(3), close=False)
    record(tmp_path, range(3))
    third = record(tmp_path, range(3))
    first.close()
    assert third.run_dir == tmp_path / "run-3"


def test_a_second_writer_is_refused_where_that_is_asked_for(tmp_path: Path) -> None:
    first = record(tmp_path, range(3), close=False)
    with pytest.raises(RunBusyError, match=f"process {os.getpid()}"):
        RunWriter(tmp_path, if_busy="error")
    first.close()
    RunWriter(tmp_path, if_busy="error").close()


BUSY = """
import sys
from steadytrain.core.errors import RunBusyError
from steadytrain.store.writer import RunWriter
try:
    RunWriter(sys.argv[1], if_busy="error")
except RunBusyError:
    print("busy")
"""


def test_a_writer_in_another_process_is_refused(tmp_path: Path) -> None:
    writer = record(tmp_path, range(3), close=False)
    command = [sys.executable, "-c", BUSY, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "busy\n"
    writer.close()
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""


def in_child(work) -> int:
    """The exit status of a forked child that does `work`."""
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_never_writes(tmp_path: Path) -> None:
    writer = record(tmp_path, range(3), close=False)
    add_step(writer, 3)

    def work() -> None:
        add_step(writer, 99)
        assert not writer.flush()
        writer.close()

    assert in_child(work) == 0
    add_step(writer, 4)
    writer.close()
    saved = read_run(tmp_path)
    assert steps_of(saved.history) == [0, 1, 2, 3, 4]
    assert saved.missing == []


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_that_outlives_a_killed_writer_does_not_keep_it_busy(tmp_path: Path) -> None:
    ready, told = os.pipe()
    parent = os.fork()
    if not parent:
        RunWriter(tmp_path)
        grandchild = os.fork()
        if grandchild:
            os.write(told, f"{grandchild}\n".encode())
        signal.pause()
        os._exit(0)
    orphan = int(os.read(ready, 20))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    try:
        RunWriter(tmp_path, if_busy="error").close()
    finally:
        os.kill(orphan, signal.SIGKILL)
        os.close(ready)
        os.close(told)


def test_a_reader_sees_whole_flushes_while_a_writer_writes(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path)
    for step in range(60):
        add_step(writer, step, num_sites=1)
        if step % 3 == 2:
            assert writer.flush()
            history = read_run(tmp_path).history
            assert history.series("loss").tolist() == [number(s) for s in range(step + 1)]
    writer.close()
