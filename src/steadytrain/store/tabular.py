"""Text cells that a spreadsheet will not execute."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")


def cell(value: object) -> object:
    """`value` as a spreadsheet shows it: a text that would be a formula gets an apostrophe.

    Example:
        >>> cell("=1+1"), cell(-2.5), cell("loss")
        ("'=1+1", -2.5, 'loss')
    """
    is_formula = isinstance(value, str) and value.startswith(_FORMULA_STARTS)
    return f"'{value}" if is_formula else value


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> None:
    """`path` is a CSV file of `rows`; missing values are empty cells.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in rows:
            writer.writerow([cell(value) for value in row])
