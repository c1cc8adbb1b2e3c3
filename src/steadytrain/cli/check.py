"""`steadytrain check FILE:FACTORY`: what is wrong with a program before its first step."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from steadytrain.cli._options import SEVERITIES, json_option
from steadytrain.cli._output import print_json, stdout_console, stdout_to_stderr
from steadytrain.cli._progress import progress_bar
from steadytrain.cli._status import DEFAULT_FAIL_ON, status_of
from steadytrain.core.finding import Severity

if TYPE_CHECKING:
    from steadytrain.core.diagnosis import Diagnosis


@click.command(short_help="Check the program that your own file builds before its first step.")
@click.argument("place", metavar="FILE:FACTORY")
@click.option("--quick", is_flag=True, help="Leave out the checks that train a copy.")
@click.option(
    "--select",
    metavar="NAMES",
    help="Only these checks: names, codes, families (LOS) or steps (data), with commas.",
)
@click.option("--ignore", metavar="NAMES", help="Not these checks.")
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    default=DEFAULT_FAIL_ON.name.lower(),
    show_default=True,
    help="Lowest severity that makes the exit status 1.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="For FACTORY."
)
@click.option("--traceback", is_flag=True, help="Show where your own code raised.")
@json_option
def command(
    place: str,
    *,
    quick: bool,
    select: str | None,
    ignore: str | None,
    fail_on: str,
    seed: int,
    traceback: bool,
    as_json: bool,
) -> int:
    """Answer ten questions about what FACTORY(seed) in FILE returns, a steadytrain.Program.

    This executes FILE: your own Python code, with all the rights you have. Nothing is trained but
    copies. Its output goes to stdout as ever, or to stderr with --json.
    """
    with stdout_to_stderr() if as_json else nullcontext():
        diagnosis = _diagnose(
            place,
            seed,
            quick=quick,
            select=_names(select),
            ignore=_names(ignore),
            traceback=traceback,
        )
    if as_json:
        print_json(diagnosis.to_json())
    else:
        from steadytrain.report.preflight import print_preflight

        print_preflight(stdout_console(), diagnosis)
    return status_of(diagnosis.findings, None if fail_on == "never" else Severity.parse(fail_on))


def _diagnose(
    place: str,
    seed: int,
    *,
    quick: bool,
    select: list[str] | None,
    ignore: list[str] | None,
    traceback: bool,
) -> Diagnosis:
    from steadytrain.checks import preflight
    from steadytrain.cli._factory import load_program, users_errors

    program = load_program(place, seed, traceback=traceback)
    path = Path(place.rpartition(":")[0])
    with users_errors(path, traceback=traceback), progress_bar("preflight") as report:
        return preflight(
            program, select=select, ignore=ignore, quick=quick, progress=report, seed=seed
        )


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]
