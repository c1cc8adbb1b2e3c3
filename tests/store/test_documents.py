from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from store_runs import FailingDisk, record

from steadytrain.core.errors import StoreError
from steadytrain.core.experiment import Chart, Claim, Experiment, Series, Table
from steadytrain.store.documents import (
    read_document,
    read_experiment,
    write_document,
    write_experiment,
)
from steadytrain.store.reader import find_runs, read_run

EXPERIMENT = Experiment(
    name="cookbook",
    title="<b>Four</b> configurations",
    summary="It holds.",
    data="digits",
    settings={"seeds": 3, "rate": 0.1, "note": None},
    claims=(Claim(question="q", expected="e", measured="m", verdict="holds"),),
    tables=(Table(title="t", columns=("a", "b"), rows=((1, "x"), (None, 2.5))),),
    charts=(
        Chart(
            title="c",
            x_label="x",
            y_label="y",
            series=(Series(name="s", x=(1.0, 2.0), y=(None, 3.0), low=(1.0, 2.0)),),
        ),
    ),
)


def test_an_experiment_is_read_back_equal(tmp_path: Path) -> None:
    path = write_experiment(tmp_path / "new" / "run", EXPERIMENT)
    assert read_experiment(path.parent) == EXPERIMENT
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_experiment_is_part_of_its_run(tmp_path: Path) -> None:
    record(tmp_path, range(3))
    write_experiment(tmp_path, EXPERIMENT)
    assert read_run(tmp_path).experiment == EXPERIMENT


def test_a_directory_with_an_experiment_alone_is_a_run(tmp_path: Path) -> None:
    write_experiment(tmp_path / "a", EXPERIMENT)
    saved = read_run(tmp_path / "a")
    assert (saved.experiment, len(saved.history)) == (EXPERIMENT, 0)
    assert find_runs(tmp_path) == [tmp_path / "a"]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"name": 1}', b"\xff", b"[" * 99_999])
def test_a_damaged_experiment_does_not_hide_the_run(tmp_path: Path, content: bytes) -> None:
    record(tmp_path, range(3))
    (tmp_path / "experiment.json").write_bytes(content)
    saved = read_run(tmp_path)
    assert saved.experiment is None
    assert len(saved.history) == 3
    assert any("experiment.json is not an experiment" in sentence for sentence in saved.missing)


def test_says_where_an_experiment_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="'cookbook' could not be written"):
        write_experiment(tmp_path / "file", EXPERIMENT)


@pytest.mark.parametrize("first", range(6))
def test_a_document_is_replaced_whole_or_not_at_all(tmp_path: Path, first: int) -> None:
    path = tmp_path / "document.json"
    write_document(path, {"version": "old"})
    with contextlib.suppress(OSError):
        write_document(path, {"version": "new", "more": "x" * 5000}, FailingDisk(first))
    assert read_document(path)["version"] in ("old", "new")
    assert [p.name for p in tmp_path.iterdir()] == ["document.json"]


def test_a_linked_document_is_not_read(tmp_path: Path) -> None:
    write_document(tmp_path / "secret.json", {"a": 1})
    (tmp_path / "link.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(OSError, match="symbolic link"):
        read_document(tmp_path / "link.json")


def test_a_document_without_end_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ValueError, match="at most"):
        read_document(tmp_path / "huge.json")
