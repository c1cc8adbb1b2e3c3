from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from store_runs import FailingDisk, add_step, number, record, small, steps_of, wrong_numbers

from steadytrain.core.errors import StoreError
from steadytrain.store.files import Disk
from steadytrain.store.limits import Limits
from steadytrain.store.outage import MAX_WAIT, StoreWarning
from steadytrain.store.reader import read_run
from steadytrain.store.segments import segment_path
from steadytrain.store.writer import RunWriter

CALLS = 18
"""More calls than the recording below makes before its last flush."""


def record_on(disk: Disk, run_dir: Path, steps: range = range(8)) -> tuple[RunWriter, set[int]]:
    """Records a run flush by flush; which steps were acknowledged."""
    writer = RunWriter(run_dir, disk=disk, limits=small(sync_seconds=0))
    acknowledged: set[int] = set()
    for step in steps:
        add_step(writer, step, num_sites=1)
        if writer.flush():
            acknowledged = set(range(step + 1))
    return writer, acknowledged


@pytest.mark.filterwarnings("ignore::steadytrain.store.outage.StoreWarning")
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.ESTALE], ids=errno.errorcode.get)
@pytest.mark.parametrize("first", range(CALLS))
def test_one_failing_call_loses_nothing(tmp_path: Path, first: int, code: int) -> None:
    writer, _ = record_on(FailingDisk(first, 1, code), tmp_path / "run")
    writer.close()
    saved = read_run(tmp_path / "run")
    assert steps_of(saved.history) == list(range(8))
    assert wrong_numbers(saved.history) == []
    assert writer.num_dropped_rows == 0


@pytest.mark.filterwarnings("ignore::steadytrain.store.outage.StoreWarning")
@pytest.mark.parametrize("first", range(CALLS))
def test_what_was_acknowledged_before_the_disk_died_is_there(tmp_path: Path, first: int) -> None:
    writer, acknowledged = record_on(FailingDisk(first, 10_000), tmp_path / "run")
    writer.close()
    if acknowledged:
        saved = read_run(tmp_path / "run")
        assert acknowledged <= set(steps_of(saved.history))
        assert wrong_numbers(saved.history) == []


def test_an_interrupted_or_short_write_is_continued(tmp_path: Path) -> None:
    class Short(Disk):
        def write(self, descriptor, data):
            return super().write(descriptor, data[:7])

    writer, acknowledged = record_on(Short(), tmp_path)
    writer.close()
    assert acknowledged == set(range(8))
    assert read_run(tmp_path).missing == []


def test_ctrl_c_in_the_middle_of_a_write_leaves_a_readable_run(tmp_path: Path) -> None:
    class Interrupted(Disk):
        num_writes = 0

        def write(self, descriptor, data):
            self.num_writes += 1
            if self.num_writes == 5:
                super().write(descriptor, data[:40])
                raise KeyboardInterrupt
            return super().write(descriptor, data)

    writer = RunWriter(tmp_path, disk=Interrupted())
    for step in range(4):
        add_step(writer, step, num_sites=1)
        if step < 3:
            writer.flush()
    with pytest.raises(KeyboardInterrupt):
        writer.flush()
    writer.close()
    saved = read_run(tmp_path)
    assert steps_of(saved.history) == [0, 1, 2, 3]
    assert saved.missing == []


def test_warns_once_and_then_stays_silent(tmp_path: Path) -> None:
    with pytest.warns(StoreWarning, match="Training goes on") as caught:
        _, acknowledged = record_on(FailingDisk(3, 10_000), tmp_path, range(100))
    assert len(caught) == 1
    assert acknowledged == set()


def test_a_warning_made_an_error_does_not_leave_flush(tmp_path: Path, capsys) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record_on(FailingDisk(3, 10_000), tmp_path)
    assert "Training goes on" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::steadytrain.store.outage.StoreWarning")
def test_attempts_come_less_often_while_the_disk_is_full(tmp_path: Path) -> None:
    disk = FailingDisk(30, 10_000)
    record_on(disk, tmp_path, range(400))
    num_attempts = disk.failed.count("num_links")
    assert 400 / MAX_WAIT - 5 < num_attempts < 400 / MAX_WAIT + 10


def record_losses(run_dir: Path, disk: Disk, limits: Limits, num_steps: int) -> RunWriter:
    writer = RunWriter(run_dir, disk=disk, limits=limits)
    for step in range(num_steps):
        writer.add_row(step, "loss", number(step))
        writer.flush()
        assert writer._pending.num_bytes <= limits.max_queue_bytes
    return writer


@pytest.mark.filterwarnings("ignore::steadytrain.store.outage.StoreWarning")
def test_rows_wait_in_bounded_memory_and_the_dropped_are_counted(tmp_path: Path) -> None:
    disk = FailingDisk(4, 10_000)
    limits = small(max_queue_bytes=40_000)
    writer = record_losses(tmp_path, disk, limits, 1000)
    assert writer._pending.num_bytes <= limits.max_queue_bytes
    disk.count = 0
    writer.close()
    saved = read_run(tmp_path)
    kept = steps_of(saved.history)
    assert kept == list(range(writer.num_dropped_rows, 1000))
    assert writer.num_dropped_rows > 500
    sentence = (
        f"{writer.num_dropped_rows:,} rows of steps 0 to {kept[0] - 1:,} could not be written"
    )
    assert any(sentence in missing for missing in saved.missing)


@pytest.mark.filterwarnings("ignore::steadytrain.store.outage.StoreWarning")
def test_the_count_of_dropped_rows_is_written_as_soon_as_it_works_again(tmp_path: Path) -> None:
    disk = FailingDisk(4, 10_000)
    writer = record_losses(tmp_path, disk, small(max_queue_bytes=2000), 50)
    disk.count = 0
    while not writer.flush():
        pass
    assert any("dropped" in sentence for sentence in read_run(tmp_path).missing)
    writer.close()


def test_a_deleted_directory_is_made_again(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    writer = record(run_dir, range(5), close=False)
    shutil.rmtree(run_dir)
    for step in range(5, 9):
        add_step(writer, step)
        assert writer.flush()
    writer.close()
    saved = read_run(run_dir)
    assert steps_of(saved.history) == [5, 6, 7, 8]
    assert saved.meta["run_id"] == writer.run_id
    assert "Segment 1 is missing." in saved.missing


def test_a_directory_that_became_a_file_is_waited_out(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    writer = record(run_dir, range(3), close=False)
    shutil.rmtree(run_dir)
    run_dir.write_text("in the way")
    add_step(writer, 3)
    with pytest.warns(StoreWarning):
        assert not writer.flush()
    run_dir.unlink()
    writer.close()
    assert steps_of(read_run(run_dir).history) == [3]


def test_another_run_that_took_the_place_of_a_deleted_one_is_left_alone(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    writer = record(run_dir, range(3), close=False)
    shutil.rmtree(run_dir)
    other = record(run_dir, range(100, 103))
    add_step(writer, 3)
    with pytest.warns(StoreWarning, match="holds another run"):
        assert not writer.flush()
    writer.close()
    saved = read_run(run_dir)
    assert saved.meta["run_id"] == other.run_id
    assert steps_of(saved.history) == [100, 101, 102]


def test_a_directory_that_cannot_be_made_does_not_stop_the_run(tmp_path: Path) -> None:
    class ReadOnly(Disk):
        def make_directory(self, path):
            raise PermissionError(errno.EROFS, "read-only", str(path))

    with pytest.warns(StoreWarning, match="read-only"):
        writer = RunWriter(tmp_path / "run", disk=ReadOnly())
    add_step(writer, 0, num_sites=1)
    assert not writer.flush()
    writer.close()
    assert not (tmp_path / "run").exists()


def test_a_file_in_place_of_the_directory_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(StoreError, match="found a file"):
        RunWriter(tmp_path / "run")
    assert (tmp_path / "run").read_text() == "mine"


LIMITED = """
import resource, signal, sys, warnings
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from steadytrain.store.writer import RunWriter
writer = RunWriter(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
warnings.simplefilter("ignore")
for step in range(300):
    writer.add_row(step, "loss", float(step % 4096 * 8))
    writer.flush()
writer.close()
print("went on")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="this system has no file size limit")
def test_a_file_size_limit_does_not_stop_the_run(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "went on\n"
    saved = read_run(tmp_path)
    assert wrong_numbers(saved.history) == []
    assert len(saved.history) > 50
    assert saved.missing


def test_a_full_file_system_does_not_stop_the_run(tmp_path: Path) -> None:
    class Full(Disk):
        def create(self, path):
            return (
                os.open("/dev/full", os.O_WRONLY) if path.suffix == ".seg" else super().create(path)
            )

        def num_links(self, descriptor):
            return 1

    with pytest.warns(StoreWarning, match="No space left"):
        writer, acknowledged = record_on(Full(), tmp_path)
    writer.close()
    assert acknowledged == set()


def test_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        record(tmp_path / "run", range(2))
    finally:
        os.umask(before)
    modes = {p.stat().st_mode & 0o777 for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert modes == {0o600}
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700
    assert segment_path(tmp_path / "run", 1).parent.stat().st_mode & 0o777 == 0o700


def test_few_descriptors_are_enough(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for run in range(30):
        record(tmp_path / str(run), range(3))
        read_run(tmp_path / str(run))
    after = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    assert after == before
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0


def test_ten_thousand_sites_are_one_write_per_flush(tmp_path: Path) -> None:
    class Counting(Disk):
        num_writes = 0

        def write(self, descriptor, data):
            self.num_writes += 1
            return super().write(descriptor, data)

    disk = Counting()
    writer = RunWriter(tmp_path, disk=disk)
    writer.add_sites("parameter", (f"layer.{i}.weight" for i in range(10_000)))
    assert writer.flush()  # writes run.json
    for step in range(5):
        before = disk.num_writes
        writer.add_row(step, "grad_norm", np.ones(10_000))
        assert writer.flush()
        assert disk.num_writes - before == 1
    writer.close()
