"""`steadytrain replay RUN`: judge a saved run again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from steadytrain.cli._options import json_option, judging_options, make_judging
from steadytrain.cli._output import print_json, say, stdout_console
from steadytrain.cli._status import UNANSWERED, status_of

if TYPE_CHECKING:
    from steadytrain.core.finding import Finding
    from steadytrain.store.reader import SavedRun


@click.command(short_help="Judge a saved run again, without torch.")
@click.argument("run", type=click.Path(path_type=Path))
@judging_options
@json_option
def command(run: Path, *, as_json: bool, **judging: Any) -> int:
    """Judge the saved run in the directory RUN: the findings it had live, or those of other rules.

    What is missing from a damaged run is said on stderr.
    """
    from steadytrain.engine import judge
    from steadytrain.store.reader import read_run

    chosen = make_judging(**judging)
    saved = read_run(run)
    for sentence in saved.missing:
        say(f"missing: {sentence}")
    findings = judge(saved.history, chosen.rules)
    status = status_of(findings, chosen.fail_on)
    if saved.missing and saved.history.step < 0:
        status = UNANSWERED  # nothing could be read: that is no healthy run
    if as_json:
        print_json(_document(saved, findings))
    else:
        _print(saved, findings)
    return status


def _document(saved: SavedRun, findings: list[Finding]) -> dict[str, Any]:
    return {
        "run": str(saved.path),
        "steps": saved.history.step + 1,
        "findings": [finding.to_json() for finding in findings],
        "missing": list(saved.missing),
        "meta": saved.meta,
    }


def _print(saved: SavedRun, findings: list[Finding]) -> None:
    from steadytrain.report.names import visible
    from steadytrain.report.terminal import print_findings

    console = stdout_console()
    console.print(f"{visible(str(saved.path))}: {saved.history.step + 1} steps", markup=False)
    print_findings(console, findings)
