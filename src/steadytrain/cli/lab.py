"""`steadytrain lab [NAME]`: the experiments, listed or run."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steadytrain.cli._folders import fresh_folder
from steadytrain.cli._options import jobs_option, json_option
from steadytrain.cli._output import print_json, say, stdout_console, stdout_to_stderr

if TYPE_CHECKING:
    from steadytrain.lab.protocol import ExperimentInfo, LabResult


@click.command(short_help="List the experiments, or run one.")
@click.argument("name", required=False)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of data: MNIST's IDX files, or a text as input.txt.  [default: the embedded data]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the result.  [default: a new folder runs/lab/NAME]",
)
@click.option("--seeds", type=click.IntRange(min=1), help="Runs per configuration.")
@click.option("--epochs", type=float, help="Passes over the data.")
@jobs_option
@click.option(
    "--quick", is_flag=True, help="The smallest size that still goes all the way through."
)
@json_option
def command(name: str | None, *, out: Path | None, as_json: bool, **sizes: Any) -> None:
    """Run the experiment NAME and write its report; without NAME, list what there is.

    What is not given is the experiment's own choice, and stands in its result.
    """
    from steadytrain.lab.protocol import broken_experiments, find_experiment, known_experiments

    if name is None:
        for broken in broken_experiments():
            say(
                f"the experiment {broken.name!r} of another package could not be loaded: {broken.reason}"
            )
        _list(list(known_experiments().values()), as_json=as_json)
        return
    info = find_experiment(name)
    folder = fresh_folder(out, Path("runs") / "lab" / info.name)
    with stdout_to_stderr() if as_json else nullcontext():
        result, page = _run(info, folder, **sizes)
    if as_json:
        print_json(_document(result, page))
    else:
        _print(result, page)


def _run(info: ExperimentInfo, folder: Path, **sizes: Any) -> tuple[LabResult, Path]:
    from steadytrain.cli._progress import progress_bar
    from steadytrain.lab.protocol import LabSettings
    from steadytrain.report.html import write_report
    from steadytrain.store.documents import write_experiment

    settings = LabSettings(out=folder, **sizes)
    with progress_bar(info.name) as report_progress:
        result = info.run(settings, report_progress)
    write_experiment(folder, result.experiment)
    return result, write_report([folder, *result.run_dirs])


def _list(infos: list[ExperimentInfo], *, as_json: bool) -> None:
    if as_json:
        listed = [
            {"name": i.name, "title": i.title, "summary": i.summary, "sections": i.sections}
            for i in infos
        ]
        print_json({"experiments": listed})
        return
    for info in infos:
        click.echo(f"{info.name}  {info.title}\n    {' '.join(info.summary.split())}")
    click.echo("\n`steadytrain lab NAME` runs one.")


def _document(result: LabResult, page: Path) -> dict[str, Any]:
    return {
        "experiment": result.experiment.to_json(),
        "runs": [str(run) for run in result.run_dirs],
        "report": str(page),
    }


def _print(result: LabResult, page: Path) -> None:
    from steadytrain.report.terminal import print_experiment

    print_experiment(stdout_console(), result.experiment)
    click.echo(f"report: {page}")
