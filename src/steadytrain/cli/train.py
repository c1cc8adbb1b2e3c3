"""`steadytrain train FILE:FACTORY`: train the program that the user's file builds."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from steadytrain.cli._folders import fresh_folder
from steadytrain.cli._options import json_option, judging_options, make_judging
from steadytrain.cli._output import print_json, say, stdout_console, stdout_to_stderr
from steadytrain.cli._status import INTERRUPTED, status_of

if TYPE_CHECKING:
    from steadytrain.core.finding import Finding
    from steadytrain.training import Run

_count = click.IntRange(min=1)

MAX_EVENTS: Final = 10
"""Events that are said after a run; a guard that skips much has hundreds."""


@click.command(short_help="Train the program that your own file builds, watched.")
@click.argument("place", metavar="FILE:FACTORY")
@click.option("--steps", type=_count, default=1000, show_default=True, help="Optimizer steps.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="For FACTORY."
)
@click.option(
    "--run-dir",
    type=click.Path(path_type=Path),
    help="Where the run is kept.  [default: a new folder runs/FILE]",
)
@click.option("--name", help="What the report calls the run.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint in --run-dir.")
@click.option(
    "--checkpoint-every", type=_count, metavar="STEPS", help="Keep a checkpoint so often."
)
@click.option("--validate-every", type=_count, metavar="STEPS", help="Measure the metric so often.")
@click.option(
    "--every", type=_count, default=10, show_default=True, help="Steps between activation samples."
)
@judging_options
@json_option
def command(
    place: str, *, steps: int, seed: int, run_dir: Path | None, as_json: bool, **options: Any
) -> int:
    """Train what FACTORY(seed) in FILE returns, a steadytrain.Program, and judge the run.

    This executes FILE: your own Python code, with all the rights you have. Its output goes to
    stdout as ever, or to stderr with --json.
    """
    judging = {name: options.pop(name) for name in ("select", "ignore", "fail_on", "config_file")}
    chosen = make_judging(**judging)
    if options["resume"] and run_dir is None:
        raise click.UsageError("--resume got no --run-dir, expected the directory of the run.")
    default = Path("runs") / Path(place.rpartition(":")[0]).stem
    target = run_dir if options["resume"] else fresh_folder(run_dir, default)
    with stdout_to_stderr() if as_json else nullcontext():
        run = _train(place, steps, seed, run_dir=target, rules=chosen.rules, **options)
    findings = run.findings()
    if as_json:
        print_json(_document(run, findings))
    else:
        _print(run, findings)
    return INTERRUPTED if run.interrupted else status_of(findings, chosen.fail_on)


def _train(place: str, steps: int, seed: int, **options: Any) -> Run:
    from steadytrain.cli._factory import load_program, users_errors
    from steadytrain.training import train

    program = load_program(place, seed)
    with users_errors(Path(place.rpartition(":")[0])):
        return train(program, steps, **options)


def _document(run: Run, findings: list[Finding]) -> dict[str, Any]:
    return {
        "run": None if run.run_dir is None else str(run.run_dir),
        "steps": run.history.step + 1,
        "metrics": dict(run.metrics),
        "findings": [finding.to_json() for finding in findings],
        "events": [event.to_json() for event in run.events],
    }


def _print(run: Run, findings: list[Finding]) -> None:
    from steadytrain.report.terminal import print_findings

    print_findings(stdout_console(), findings)
    for event in run.events[:MAX_EVENTS]:
        say(f"step {event.step:,}: {event.kind}: {event.reason}")
    if len(run.events) > MAX_EVENTS:
        say(f"... and {len(run.events) - MAX_EVENTS} more events, all in the report.")
    if run.run_dir is not None:
        say(f"kept in {run.run_dir}; `steadytrain report {run.run_dir}` writes the page.")
