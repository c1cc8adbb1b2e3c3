"""`steadytrain report RUN...`: one page that says what happened."""

from __future__ import annotations

from pathlib import Path

import click

from steadytrain.cli._options import json_option
from steadytrain.cli._output import print_json
from steadytrain.core.errors import RunNotFoundError


@click.command(short_help="Write a report page about one or more runs.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write.  [default: report.html in the first run]",
)
@json_option
def command(runs: tuple[Path, ...], out: Path | None, *, as_json: bool) -> None:
    """Write one self-contained HTML page about the saved runs RUNS; it opens offline.

    Several runs stand side by side. A folder of runs stands for every run in it.
    """
    from steadytrain.report.html import write_report

    chosen = [run for path in runs for run in _runs_at(path)]
    page = write_report(chosen, out)
    if as_json:
        print_json({"report": str(page), "runs": [str(run) for run in chosen]})
    else:
        click.echo(f"report: {page}")


def _runs_at(path: Path) -> list[Path]:
    from steadytrain.store.reader import find_runs

    runs = find_runs(path)
    if not runs:
        msg = f"{path}: no run is there, expected a run directory or a folder of them"
        raise RunNotFoundError(f"{msg}. A run is written by watch(..., run_dir=...).")
    return runs
