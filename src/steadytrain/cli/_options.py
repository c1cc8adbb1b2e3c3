"""Options that several commands share, and how the configuration file stands behind them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steadytrain.core.errors import ConfigError, UsageError
from steadytrain.core.finding import Severity

if TYPE_CHECKING:
    from steadytrain.core.config import Config
    from steadytrain.core.rule import Rule

SEVERITIES = ("note", "warning", "critical", "never")

MAX_JOBS = 4
"""Processes used unless more are asked for: each holds a torch of its own."""

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout and nothing else."
)

jobs_option = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=lambda: min(MAX_JOBS, os.cpu_count() or 1),
    help=f"Processes.  [default: one per core, at most {MAX_JOBS}]",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """Which rules judge, and from which severity on the command fails."""

    rules: list[Rule]
    fail_on: Severity | None


def judging_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`command` also takes --select, --ignore, --fail-on and --config."""
    for option in reversed(
        (
            click.option(
                "--select",
                metavar="NAMES",
                help="Only these rules: names, codes or families (GRD), with commas.",
            ),
            click.option("--ignore", metavar="NAMES", help="Not these rules."),
            click.option(
                "--fail-on",
                type=click.Choice(SEVERITIES),
                help="Lowest severity that makes the exit status 1.  [default: warning]",
            ),
            click.option(
                "--config",
                "config_file",
                type=click.Path(path_type=Path),
                help="File with a [tool.steadytrain] table.  [default: the nearest pyproject.toml that has one]",
            ),
        )
    ):
        command = option(command)
    return command


def make_judging(
    select: str | None, ignore: str | None, fail_on: str | None, config_file: Path | None
) -> Judging:
    """The rules and the severity that the options and the configuration ask for.

    What is given on the command line replaces the same key of the file.

    Raises:
        UnknownNameError: no rule has a name given on the command line.
        ConfigError: the file, or something in it, cannot be read as meant.
    """
    from steadytrain.core.config import find_config, read_config

    config = find_config(Path.cwd()) if config_file is None else read_config(config_file)
    chosen = config.fail_on if fail_on is None else _severity(fail_on)
    return Judging(rules=_rules(config, _names(select), _names(ignore)), fail_on=chosen)


def _rules(config: Config, select: list[str] | None, ignore: list[str] | None) -> list[Rule]:
    from steadytrain.engine import known_rules, make_rules

    config.check_options({name: info.options for name, info in known_rules().items()})
    try:
        made = make_rules(config.select, config.ignore, config.options)
    except UsageError as error:
        raise ConfigError(f"{config.place}: {error}") from None
    if select is None and ignore is None:
        return made
    return make_rules(
        config.select if select is None else select,
        config.ignore if ignore is None else ignore,
        config.options,
    )


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _severity(text: str) -> Severity | None:
    return None if text == "never" else Severity.parse(text)
