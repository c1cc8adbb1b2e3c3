from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from store_runs import record

from steadytrain.core.action import Event
from steadytrain.core.arrow import long_rows
from steadytrain.core.errors import MissingExtraError, RunNotFoundError, StoreError, UsageError
from steadytrain.core.finding import Finding, Severity
from steadytrain.core.history import History
from steadytrain.store.export import export_run, history_table
from steadytrain.store.reader import read_run
from steadytrain.store.tabular import cell
from steadytrain.store.writer import RunWriter

NAMES = ("=cmd|' /C calc'!A0", "plain", "-2+3", "\ud800", 'a\nb,"c"')


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    with RunWriter(tmp_path / "run") as writer:
        writer.add_sites("parameter", NAMES)
        for step in range(3):
            writer.add_row(step, "loss", -1.5 * step)
            writer.add_row(step, "grad_norm", [step, np.nan, np.inf, -1, 4])
        writer.add_finding(
            Finding(
                rule="r",
                code="X1",
                severity=Severity.WARNING,
                step=1,
                site=NAMES[0],
                message="@SUM(A1)",
                causes=("a", "b"),
                evidence={"loss": 2.0},
            )
        )
        writer.add_event(Event(step=2, kind="skip", reason="+1"))
    return tmp_path / "run"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_parquet_holds_every_measured_number(run_dir: Path) -> None:
    history, findings, events = export_run(run_dir)
    table = pq.read_table(history)
    assert [str(t) for t in table.schema.types][::3] == ["int64", "double"]
    assert table.num_rows == 3 + 3 * 4
    infinite = [r for r in table.to_pylist() if r["value"] == np.inf]
    assert [(r["step"], r["stat"], r["site"]) for r in infinite] == [
        (step, "grad_norm", "-2+3") for step in range(3)
    ]
    (finding,) = pq.read_table(findings).to_pylist()
    assert (finding["causes"], json.loads(finding["evidence"])) == (["a", "b"], {"loss": 2.0})
    assert pq.read_table(events).to_pylist()[0]["kind"] == "skip"


def test_parquet_says_its_schema_version_and_run(run_dir: Path) -> None:
    for path in export_run(run_dir):
        metadata = pq.read_schema(path).metadata
        assert metadata[b"steadytrain.schema_version"] == b"1"
        assert metadata[b"steadytrain.run_id"].decode() == read_run(run_dir).meta["run_id"]


def test_csv_keeps_numbers_and_defuses_formulas(run_dir: Path, tmp_path: Path) -> None:
    history, findings, events = export_run(run_dir, "csv", tmp_path / "out")
    rows = rows_of(history)
    assert [float(r["value"]) for r in rows if r["stat"] == "loss"] == [0.0, -1.5, -3.0]
    sites = {r["site"] for r in rows if r["stat"] == "grad_norm"}
    assert sites == {"'=cmd|' /C calc'!A0", "'-2+3", "\\ud800", 'a\nb,"c"'}
    assert rows_of(findings)[0]["message"] == "'@SUM(A1)"
    assert rows_of(events)[0]["reason"] == "'+1"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_text_that_would_be_a_formula_gets_an_apostrophe(start: str) -> None:
    assert cell(f"{start}1") == f"'{start}1"
    assert cell(-1) == -1


def test_an_empty_run_gives_tables_without_rows(tmp_path: Path) -> None:
    RunWriter(tmp_path).close()
    assert [pq.read_table(path).num_rows for path in export_run(tmp_path)] == [0, 0, 0]
    assert [rows_of(path) for path in export_run(tmp_path, "csv")] == [[], [], []]


def test_a_large_history_comes_in_pieces_of_bounded_size() -> None:
    history = History({"parameter": [f"p{i}" for i in range(100)]}, capacity=None)
    for step in range(100):
        history.append(step, "grad_norm", np.full(100, step))
    pieces = list(long_rows(history, max_cells=1000))
    assert max(len(steps) for _, _, steps, _, _ in pieces) <= 1000
    assert sum(len(steps) for _, _, steps, _, _ in pieces) == 10_000


def test_a_history_is_an_arrow_table() -> None:
    history = History({"parameter": ["p", "q"]})
    history.append(4, "grad_norm", [1, 2])
    history.append(4, "loss", 3)
    expected = [
        {"step": 4, "stat": "loss", "site": "", "value": 3.0},
        {"step": 4, "stat": "grad_norm", "site": "p", "value": 1.0},
        {"step": 4, "stat": "grad_norm", "site": "q", "value": 2.0},
    ]
    assert history.to_arrow().to_pylist() == expected == history_table(history).to_pylist()


def test_says_which_extra_is_missing(run_dir: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"steadytrain\[parquet\]"):
        export_run(run_dir)
    assert export_run(run_dir, "csv")


def test_refuses_what_it_cannot_do(run_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="export format 'xlsx'"):
        export_run(run_dir, "xlsx")  # type: ignore[arg-type]
    with pytest.raises(RunNotFoundError):
        export_run(tmp_path / "nowhere")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="Choose another directory"):
        export_run(run_dir, "csv", tmp_path / "file")


def test_the_exported_files_are_not_taken_for_a_run(run_dir: Path) -> None:
    export_run(run_dir)
    record(run_dir, range(3, 5))
    assert read_run(run_dir).missing == []
