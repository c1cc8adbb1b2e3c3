"""`steadytrain demo`: the main job, small, and runs that are broken on purpose."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steadytrain.cli._folders import fresh_folder
from steadytrain.cli._options import jobs_option, json_option
from steadytrain.cli._output import print_json, stdout_console, stdout_to_stderr

if TYPE_CHECKING:
    from steadytrain.lab.demo import BrokenRun, Demo


@click.command(short_help="Train on embedded data, break a run on purpose, write a report.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the runs and the report.  [default: a new folder runs/demo]",
)
@click.option(
    "--quick", is_flag=True, help="The smallest size that still goes all the way through."
)
@jobs_option
@json_option
def command(out: Path | None, *, quick: bool, jobs: int, as_json: bool) -> None:
    """Run the main job small, break two runs on purpose, and let the doctor cure one.

    The main job compares four configurations of one small network on images of digits that come
    with the package. The exit status is 0: these findings are wanted.
    """
    from steadytrain.cli._progress import progress_bar
    from steadytrain.lab.demo import run_demo
    from steadytrain.report.html import write_report

    folder = fresh_folder(out, Path("runs") / "demo")
    with stdout_to_stderr() if as_json else nullcontext(), progress_bar("demo") as report_progress:
        demo = run_demo(folder, report_progress, jobs=jobs, quick=quick)
    page = write_report([folder, *demo.all_run_dirs])
    if as_json:
        print_json(_document(demo, page))
    else:
        _print(demo, page)


def _document(demo: Demo, page: Path) -> dict[str, Any]:
    return {
        "experiment": demo.experiment.to_json(),
        "runs": [str(run) for run in demo.run_dirs],
        "broken": [_broken_document(run) for run in demo.broken],
        "cure": {
            "name": demo.cure.name,
            "run": str(demo.cure.run_dir),
            "diagnosis": demo.cure.diagnosis.to_json(),
            "last_loss": demo.cure.last_loss,
        },
        "report": str(page),
    }


def _broken_document(run: BrokenRun) -> dict[str, Any]:
    return {
        "name": run.name,
        "done_to_it": run.done_to_it,
        "run": str(run.run_dir),
        "findings": [finding.to_json() for finding in run.findings],
    }


def _print(demo: Demo, page: Path) -> None:
    from steadytrain.report.diagnosis import print_diagnosis
    from steadytrain.report.terminal import print_experiment, print_findings

    console = stdout_console()
    print_experiment(console, demo.experiment)
    for run in demo.broken:
        console.print()
        console.rule(f"broken on purpose: {run.name}")
        console.print(run.done_to_it, markup=False)
        print_findings(console, run.findings)
    console.print()
    console.rule(f"the doctor on {demo.cure.name}")
    print_diagnosis(console, demo.cure.diagnosis)
    console.print(f"With its fix applied the same run ends at a loss of {demo.cure.last_loss:.3g}.")
    click.echo(f"\nreport: {page.resolve()}")
