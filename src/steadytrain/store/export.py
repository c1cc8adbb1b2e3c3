"""A run as tables that pandas, polars, DuckDB and spreadsheets open directly.

    history   step int64 · stat text · site text · value float64       one line per measured number
    findings  rule · code · severity · step · site · message · causes (list) · evidence (JSON)
    events    step · kind · reason · evidence (JSON)

Parquet files carry `steadytrain.schema_version` and the run's id in their metadata. In CSV a text
that a spreadsheet would take for a formula begins with an apostrophe, and lists are JSON.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal, cast

from steadytrain.core.arrow import (
    TABLE_VERSION,
    as_text,
    history_batches,
    history_schema,
    history_table,
    long_rows,
    pyarrow,
)
from steadytrain.core.errors import StoreError, UnknownNameError
from steadytrain.core.history import History
from steadytrain.store.files import Disk
from steadytrain.store.reader import SavedRun, read_run
from steadytrain.store.tabular import write_csv

__all__ = ["Format", "export_run", "history_table"]

Format = Literal["parquet", "csv"]

EXPORTS: Final = "export"
_FINDINGS: Final = ("rule", "code", "severity", "step", "site", "message", "causes", "evidence")
_EVENTS: Final = ("step", "kind", "reason", "evidence")
_ROW_GROUP: Final = 1 << 20


def export_run(
    path: str | os.PathLike[str],
    to: Format = "parquet",
    out: str | os.PathLike[str] | None = None,
) -> list[Path]:
    """The run's tables are in files of their own; what was there before is replaced.

    Args:
        path: a run directory.
        to: the format.
        out: the directory to write to; `export` in the run directory if None.

    Returns:
        The files of history, findings and events.

    Raises:
        UnknownNameError: there is no such format.
        MissingExtraError: parquet needs pyarrow, which is not installed.
        RunNotFoundError: there is no run at the path.
        StoreError: the files cannot be written.
    """
    if to not in ("parquet", "csv"):
        raise UnknownNameError.build("export format", to, ("parquet", "csv"))
    if to == "parquet":
        pyarrow("Export to parquet")
    run = read_run(path)
    folder = Path(path) / EXPORTS if out is None else Path(out)
    try:
        Disk().make_directory(folder)
        return _write_parquet(run, folder) if to == "parquet" else _write_csv(run, folder)
    except OSError as error:
        msg = f"the tables of {run.path} could not be written to {folder}: {error}."
        raise StoreError(f"{msg} Choose another directory with out=.") from error


def _write_csv(run: SavedRun, folder: Path) -> list[Path]:
    paths = [folder / f"{name}.csv" for name in ("history", "findings", "events")]
    write_csv(paths[0], ("step", "stat", "site", "value"), _lines(run.history))
    write_csv(paths[1], _FINDINGS, ([_flat(row[c]) for c in _FINDINGS] for row in _findings(run)))
    write_csv(paths[2], _EVENTS, ([_flat(row[c]) for c in _EVENTS] for row in _events(run)))
    return paths


def _lines(history: History) -> Iterator[tuple[int, str, str, float]]:
    for stat, sites, steps, site, values in long_rows(history):
        for step, index, value in zip(steps.tolist(), site.tolist(), values.tolist(), strict=True):
            yield step, stat, sites[index], value


def _flat(value: object) -> object:
    return json.dumps(value) if isinstance(value, list) else value


def _findings(run: SavedRun) -> list[dict[str, Any]]:
    return [_with_json(finding.to_json()) for finding in run.findings]


def _events(run: SavedRun) -> list[dict[str, Any]]:
    return [_with_json(event.to_json()) for event in run.events]


def _with_json(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "evidence": json.dumps(row["evidence"])}


def _write_parquet(run: SavedRun, folder: Path) -> list[Path]:
    pa = pyarrow("Export to parquet")
    parquet = cast("Any", importlib.import_module("pyarrow.parquet"))
    paths = [folder / f"{name}.parquet" for name in ("history", "findings", "events")]
    told = {"run_id": as_text(str(run.meta.get("run_id", "")))}
    schema = history_schema(told)
    with parquet.ParquetWriter(paths[0], schema) as writer:
        for batch in history_batches(run.history, schema):
            writer.write_batch(batch, row_group_size=_ROW_GROUP)
    text, step = pa.string(), pa.int64()
    types = {"step": step, "causes": pa.list_(text)}
    for path, columns, rows in (
        (paths[1], _FINDINGS, _findings(run)),
        (paths[2], _EVENTS, _events(run)),
    ):
        metadata = {"schema_version": TABLE_VERSION, "table": path.stem, **told}
        schema = pa.schema(
            [(name, types.get(name, text)) for name in columns],
            metadata={f"steadytrain.{name}": value for name, value in metadata.items()},
        )
        lines = [{name: _clean(row[name]) for name in columns} for row in rows]
        parquet.write_table(pa.Table.from_pylist(lines, schema=schema), path)
    return paths


def _clean(value: object) -> object:
    if isinstance(value, list):
        return [as_text(str(item)) for item in cast("list[object]", value)]
    return as_text(value) if isinstance(value, str) else value
