"""`steadytrain export RUN --to parquet|csv`: tables that other tools open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from steadytrain.cli._options import json_option
from steadytrain.cli._output import print_json

if TYPE_CHECKING:
    from steadytrain.store.export import Format


@click.command(short_help="Write a run's measurements as Parquet or CSV.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--to", "form", type=click.Choice(["parquet", "csv"]), required=True)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for the tables.  [default: in the run]"
)
@json_option
def command(run: Path, form: Format, out: Path | None, *, as_json: bool) -> None:
    """Write the measurements of the saved run in the directory RUN as tables.

    Parquet needs the extra: pip install 'steadytrain[parquet]'.
    """
    from steadytrain.store.export import export_run

    files = [str(path) for path in export_run(run, to=form, out=out)]
    if as_json:
        print_json({"run": str(run), "files": files})
    else:
        click.echo("\n".join(files))
