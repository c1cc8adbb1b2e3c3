"""A history as an Arrow table in long format: one line per measured number.

Columns: `step` int64, `stat` and `site` as dictionaries of strings, `value` float64. What was not
measured has no line. `schema_version` in the metadata of the schema is raised when a column
changes its name or meaning. Needs pyarrow, which is imported on first use.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from steadytrain.core.columns import Floats, Steps
from steadytrain.core.errors import MissingExtraError
from steadytrain.core.history import History

TABLE_VERSION: Final = "1"

BATCH_CELLS: Final = 1 << 19
"""Cells looked at for one batch, which bounds the memory of an export."""


def pyarrow(purpose: str) -> Any:
    """The package pyarrow.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module("pyarrow")
    except ImportError as error:
        raise MissingExtraError.build("pyarrow", "parquet", purpose) from error


def long_rows(
    history: History, max_cells: int = BATCH_CELLS
) -> Iterator[tuple[str, tuple[str, ...], Steps, Steps, Floats]]:
    """The measured numbers in pieces: statistic, its site names, then step, site index, value."""
    for stat in history.stats:
        sites = history.sites(stat)
        steps, table = history.measured(stat)
        per_piece = max(1, max_cells // max(1, len(sites)))
        for start in range(0, len(steps), per_piece):
            part = table[start : start + per_piece]
            row, site = np.nonzero(~np.isnan(part))
            if len(row):
                yield stat, sites, steps[start + row], site.astype(np.int64), part[row, site]


def history_schema(metadata: dict[str, str] | None = None) -> Any:
    """The schema of the long table.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    pa = pyarrow("An Arrow table")
    words = pa.dictionary(pa.int32(), pa.string())
    fields = [("step", pa.int64()), ("stat", words), ("site", words), ("value", pa.float64())]
    known = {"schema_version": TABLE_VERSION, "table": "history", **(metadata or {})}
    return pa.schema(fields, metadata={f"steadytrain.{name}": text for name, text in known.items()})


def history_batches(history: History, schema: Any) -> Iterator[Any]:
    """The long table as record batches of bounded size."""
    pa = pyarrow("An Arrow table")
    words: dict[tuple[str, ...], Any] = {}
    for stat, sites, steps, site, values in long_rows(history):
        if sites not in words:
            words[sites] = pa.array([as_text(name) for name in sites], pa.string())
        columns = [
            pa.array(steps),
            pa.DictionaryArray.from_arrays(np.zeros(len(steps), np.int32), pa.array([stat])),
            pa.DictionaryArray.from_arrays(site.astype(np.int32), words[sites]),
            pa.array(values),
        ]
        yield pa.record_batch(columns, schema=schema)


def history_table(history: History) -> Any:
    """The history as a `pyarrow.Table` in long format.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    schema = history_schema()
    batches = list(history_batches(history, schema))
    table = pyarrow("An Arrow table").Table.from_batches(batches, schema=schema)
    return table.unify_dictionaries()


def as_text(name: str) -> str:
    """`name` as UTF-8 can carry it: a lone surrogate becomes its visible escape."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
