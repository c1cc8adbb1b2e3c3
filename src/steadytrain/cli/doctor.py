"""`steadytrain doctor FILE:FACTORY`: what is wrong with a program, proven by trials."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steadytrain.cli._options import jobs_option, json_option
from steadytrain.cli._output import print_json, say, stdout_console, stdout_to_stderr
from steadytrain.cli._status import FINDINGS, HEALTHY

if TYPE_CHECKING:
    from steadytrain.core.diagnosis import Diagnosis

_count = click.IntRange(min=1)


@click.command(short_help="Prove why the program of your own file does not train.")
@click.argument("place", metavar="FILE:FACTORY")
@click.option(
    "--steps", type=_count, default=200, show_default=True, help="Steps of the observed run."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="For FACTORY and draws.",
)
@click.option("--budget", type=_count, help="Steps of all runs.  [default: 12 times --steps]")
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), help="Begin no trial after this time."
)
@click.option("--no-preflight", is_flag=True, help="Do not ask the checks before step 0 first.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Folder for diagnosis.json and report.html."
)
@click.option(
    "--fail-on",
    type=click.Choice(("any", "proven", "never")),
    default="any",
    show_default=True,
    help="Which causes make the exit status 1.",
)
@jobs_option
@json_option
def command(
    place: str,
    *,
    fail_on: str,
    out: Path | None,
    as_json: bool,
    no_preflight: bool,
    jobs: int,
    **options: Any,
) -> int:
    """Run copies of what FACTORY(seed) in FILE returns, a steadytrain.Program, and say the cause.

    One change is made at a time; the cause is the one whose change makes the program train while
    another seed does not. Exit status: 0 healthy, 1 a cause was found.

    This executes FILE: your own Python code, with all the rights you have.
    """
    with stdout_to_stderr() if as_json else nullcontext():
        diagnosis = _diagnose(place, preflight=not no_preflight, jobs=jobs, **options)
    if out is not None:
        say(f"kept in {write_diagnosis(out, diagnosis)}")
    if as_json:
        print_json(diagnosis.to_json())
    else:
        from steadytrain.report.diagnosis import print_diagnosis

        print_diagnosis(stdout_console(), diagnosis)
    found = diagnosis.causes if fail_on == "any" else [c for c in diagnosis.causes if c.proven]
    return FINDINGS if found and fail_on != "never" else HEALTHY


def _diagnose(place: str, *, seed: int, jobs: int, **options: Any) -> Diagnosis:
    from steadytrain.cli._factory import load_program, users_errors
    from steadytrain.doctor.diagnosing import diagnose
    from steadytrain.doctor.pool import executor_of

    program = load_program(place, seed)
    with users_errors(Path(place.rpartition(":")[0])), executor_of(jobs, program) as executor:
        return diagnose(program, seed=seed, executor=executor, **options)


def write_diagnosis(folder: Path, diagnosis: Diagnosis) -> Path:
    """The folder holds the diagnosis as JSON and as a page; returns the page.

    Raises:
        StoreError: it cannot be written to.
    """
    from steadytrain.report.diagnosis import diagnosis_experiment
    from steadytrain.report.html import write_report
    from steadytrain.store.documents import write_document, write_experiment

    write_experiment(folder, diagnosis_experiment(diagnosis))
    write_document(folder / "diagnosis.json", diagnosis.to_json())
    return write_report([folder])
