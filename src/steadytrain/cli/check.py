"""`steadytrain check FILE:FACTORY`: what is wrong with a program before its first step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steadytrain.cli._options import SEVERITIES, json_option
from steadytrain.cli._output import print_json, stdout_console, stdout_to_stderr
from steadytrain.cli._progress import progress_bar
from steadytrain.cli._status import status_of
from steadytrain.core.finding import Severity

if TYPE_CHECKING:
    from steadytrain.core.config import Config
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
    help="Lowest severity that makes the exit status 1.  [default: warning]",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="For FACTORY."
)
@click.option("--traceback", is_flag=True, help="Show where your own code raised.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="File with a [tool.steadytrain] table.  [default: the nearest pyproject.toml that has one]",
)
@json_option
def command(
    place: str,
    *,
    quick: bool,
    select: str | None,
    ignore: str | None,
    fail_on: str | None,
    seed: int,
    traceback: bool,
    config_file: Path | None,
    as_json: bool,
) -> int:
    """Answer ten questions about what FACTORY(seed) in FILE returns, a steadytrain.Program.

    This executes FILE: your own Python code, with all the rights you have. Nothing is trained but
    copies. Its output goes to stdout as ever, or to stderr with --json.
    """
    config = _configured(config_file)
    with stdout_to_stderr() if as_json else nullcontext():
        diagnosis = _diagnose(
            place,
            seed,
            quick=quick,
            select=config.check.select if select is None else _names(select),
            ignore=config.check.ignore if ignore is None else _names(ignore),
            options=config.check.options,
            traceback=traceback,
        )
    if as_json:
        print_json(diagnosis.to_json())
    else:
        from steadytrain.report.preflight import print_preflight

        print_preflight(stdout_console(), diagnosis)
    if fail_on is None:
        lowest = config.check.fail_on if config.check.has_fail_on else config.fail_on
    else:
        lowest = None if fail_on == "never" else Severity.parse(fail_on)
    return status_of(diagnosis.findings, lowest)


def _configured(config_file: Path | None) -> Config:
    """The project's configuration, whose names and options are the checks'.

    Raises:
        ConfigError: a check or an option that it names does not exist.
    """
    from steadytrain.checks._registry import known_checks, make_checks
    from steadytrain.core.config import find_config, read_config
    from steadytrain.core.errors import ConfigError, UsageError

    config = find_config(Path.cwd()) if config_file is None else read_config(config_file)
    config.check.check_options(
        config.place, {name: info.options for name, info in known_checks().items()}
    )
    try:
        make_checks(config.check.select, config.check.ignore)
    except UsageError as error:
        raise ConfigError(f"{config.place}: check: {error}") from None
    return config


def _diagnose(
    place: str,
    seed: int,
    *,
    quick: bool,
    select: Sequence[str] | None,
    ignore: Sequence[str],
    options: Mapping[str, Mapping[str, Any]],
    traceback: bool,
) -> Diagnosis:
    from steadytrain.checks import preflight
    from steadytrain.cli._factory import load_program, users_errors

    program = load_program(place, seed, traceback=traceback)
    path = Path(place.rpartition(":")[0])
    with users_errors(path, traceback=traceback), progress_bar("preflight") as report:
        return preflight(
            program,
            select=select,
            ignore=ignore,
            quick=quick,
            options=options,
            progress=report,
            seed=seed,
        )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
