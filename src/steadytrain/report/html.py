"""A report of one run, or of several side by side: one HTML file that opens anywhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from steadytrain.core.errors import StoreError, UsageError
from steadytrain.report.contents import experiment_contents, run_contents
from steadytrain.report.embed import page
from steadytrain.report.names import visible
from steadytrain.report.rulepages import rule_pages

if TYPE_CHECKING:
    from steadytrain.store.reader import SavedRun

REPORT_NAME: Final = "report.html"

MAX_RUNS: Final = 100
"""Runs on one page; they share the room for points and cells."""


def write_report(
    runs: Sequence[SavedRun | str | os.PathLike[str]], out: str | os.PathLike[str] | None = None
) -> Path:
    """One self-contained HTML file about `runs` is at the returned path.

    It opens offline and asks for nothing; names in it are shown as text and never act.

    Args:
        runs: saved runs or run directories; several are compared on one page.
        out: the file to write; `report.html` in the first run's directory if None.

    Raises:
        UsageError: there is no run, or more than a page can hold.
        RunNotFoundError: a path is no run directory.
        StoreError: the file cannot be written.
    """
    if isinstance(runs, str | os.PathLike):
        runs = [runs]
    if not 1 <= len(runs) <= MAX_RUNS:
        msg = f"write_report takes 1 to {MAX_RUNS} runs, got {len(runs)}: name the run directories."
        raise UsageError(msg)
    loaded = [_loaded(run) for run in runs]
    target = Path(out) if out is not None else loaded[0].path / REPORT_NAME
    _write(target, page(report_contents(loaded)))
    return target


def report_contents(runs: Sequence[SavedRun]) -> dict[str, Any]:
    """Everything the page says, as JSON's own types."""
    findings = [finding for run in runs for finding in run.findings]
    experiments = [run.experiment for run in runs if run.experiment is not None]
    measured = [run for run in runs if run.experiment is None or run.history.step >= 0]
    return {
        "runs": [run_contents(run, len(measured)) for run in measured],
        "experiments": [experiment_contents(experiment) for experiment in experiments],
        "missing": [visible(line) for run in runs if run not in measured for line in run.missing],
        "rules": rule_pages(findings),
        "written": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def _loaded(run: SavedRun | str | os.PathLike[str]) -> SavedRun:
    if isinstance(run, str | os.PathLike):
        from steadytrain.store.reader import read_run

        return read_run(run)
    return run


def _write(target: Path, text: str) -> None:
    """The file is there whole or not at all."""
    draft = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(target)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        msg = f"the report cannot be written to {target}: {error.strerror or error}."
        raise StoreError(f"{msg} Give another place with out=... (--out).") from error
