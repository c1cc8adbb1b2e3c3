"""`steadytrain lint PATHS...`: read training code without running it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steadytrain.cli._options import SEVERITIES, json_option
from steadytrain.cli._output import print_json, say
from steadytrain.cli._status import FINDINGS, HEALTHY, UNANSWERED

if TYPE_CHECKING:
    from steadytrain.core.config import Config
    from steadytrain.core.finding import Severity
    from steadytrain.lint._check import LintInfo
    from steadytrain.lint._linter import Report

FORMATS = ("text", "json", "github", "sarif")


@click.command(short_help="Find mistakes in training code without running it.")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="[PATHS]...")
@click.option(
    "--select",
    metavar="NAMES",
    help="Only these checks: names, codes or families (LOP), with commas.",
)
@click.option("--ignore", metavar="NAMES", help="Not these checks.")
@click.option(
    "--exclude",
    metavar="PATTERN",
    multiple=True,
    help="Paths in folders to pass over; may be given again.",
)
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    help="Lowest severity that makes the exit status 1.  [default: warning]",
)
@click.option(
    "--format",
    "shape",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="What is printed on stdout.",
)
@click.option(
    "--fix", is_flag=True, help="Make the fixes that change nothing of what the program computes."
)
@click.option(
    "--unsafe-fixes", is_flag=True, help="With --fix: also those that change what it computes."
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help="File with a [tool.steadytrain] table.  [default: the nearest pyproject.toml that has one]",
)
@json_option
def command(paths: tuple[Path, ...], *, as_json: bool, **options: Any) -> int:
    """Lint the Python files and notebooks PATHS, and those in folders; the current one without.

    No code is run. Exit status: 0 nothing at or above --fail-on, 1 findings, 2 a file could not be
    read or parsed; the others are linted all the same. A comment `# st: ignore[name]` silences a
    finding on its line.
    """
    from steadytrain.lint._linter import broken_checks

    for broken in broken_checks():
        say(f"the check {broken.name!r} of another package could not be loaded: {broken.reason}")
    choice = _chosen(**{name: options[name] for name in _CHOICE})
    checks, fail_on = choice.checks, choice.fail_on
    report = _lint(paths or (Path(),), choice)
    if options["fix"] or options["unsafe_fixes"]:
        report = _fixed(report, paths or (Path(),), choice, unsafe=options["unsafe_fixes"])
    _print(report, checks, "json" if as_json else options["shape"])
    if report.problems:
        return UNANSWERED
    found = fail_on is not None and any(f.severity >= fail_on for f in report.findings)
    return FINDINGS if found else HEALTHY


@dataclass(frozen=True, slots=True, kw_only=True)
class _Choice:
    """What is asked of which files."""

    checks: list[LintInfo]
    exclude: tuple[str, ...]
    per_file_ignores: Mapping[str, tuple[str, ...]]
    fail_on: Severity | None


_CHOICE = ("select", "ignore", "exclude", "fail_on", "config_file")


def _chosen(
    select: str | None,
    ignore: str | None,
    exclude: tuple[str, ...],
    fail_on: str | None,
    config_file: Path | None,
) -> _Choice:
    """The checks, the paths to pass over and the severity that fails, by options and configuration."""
    from steadytrain.core.config import find_config, read_config
    from steadytrain.core.errors import ConfigError, UsageError
    from steadytrain.core.finding import Severity
    from steadytrain.lint._linter import choose_checks

    config = find_config(Path.cwd()) if config_file is None else read_config(config_file)
    try:
        chosen = choose_checks(config.lint.select, config.lint.ignore)
        choose_checks(
            ignore=[one for names in config.lint.per_file_ignores.values() for one in names]
        )
    except UsageError as error:
        raise ConfigError(f"{config.place}: lint: {error}") from None
    if select is not None or ignore is not None:
        chosen = choose_checks(
            config.lint.select if select is None else _names(select),
            config.lint.ignore if ignore is None else _names(ignore),
        )
    said = None if fail_on in (None, "never") else Severity.parse(fail_on)
    return _Choice(
        checks=chosen,
        exclude=exclude or config.lint.exclude,
        per_file_ignores=config.lint.per_file_ignores,
        fail_on=_configured(config) if fail_on is None else said,
    )


def _configured(config: Config) -> Severity | None:
    return config.lint.fail_on if config.lint.has_fail_on else config.fail_on


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _lint(paths: tuple[Path, ...], choice: _Choice) -> Report:
    from steadytrain.lint._linter import lint_paths

    return lint_paths(
        paths,
        select=[info.name for info in choice.checks],
        exclude=choice.exclude,
        per_file_ignores=choice.per_file_ignores,
    )


def _fixed(report: Report, paths: tuple[Path, ...], choice: _Choice, *, unsafe: bool) -> Report:
    """What is left after the fixes were made."""
    from steadytrain.lint._rewriting import fix_files

    num_fixed, problems = fix_files(report.findings, choice.checks, unsafe=unsafe)
    say(f"{num_fixed} fixed." if num_fixed else "nothing to fix.")
    after = _lint(paths, choice)
    return replace(after, problems=[*after.problems, *problems])


def _print(report: Report, checks: list[LintInfo], shape: str) -> None:
    from steadytrain.lint._formats import as_github, as_text, summary

    for problem in report.problems:
        say(f"{problem.place}: {problem.message}")
    if shape == "json":
        print_json(report.to_json())
    elif shape == "sarif":
        from steadytrain.lint._sarif import as_sarif

        print_json(as_sarif(report, checks))
    else:
        github = shape == "github"
        lines = as_github(report.findings, report.problems) if github else as_text(report.findings)
        for line in lines:
            click.echo(line)
        say(summary(report))
