"""`steadytrain rules`: what is judged."""

from __future__ import annotations

import click

from steadytrain.cli._options import json_option
from steadytrain.cli._output import print_json, say, stdout_console


@click.command(short_help="List the rules that judge a run and the checks of code.")
@json_option
def command(*, as_json: bool) -> None:
    """List every rule and every check of code: its name, code, and what it says.

    A rule is `preview` until its recall and its false alarms over the fault lab are committed.
    """
    from steadytrain.cli._lint_pages import lint_document
    from steadytrain.cli._vocabulary import rule_document
    from steadytrain.engine import broken_rules, known_rules
    from steadytrain.lint._linter import known_checks

    for broken in broken_rules():
        say(f"the rule {broken.name!r} of another package could not be loaded: {broken.reason}")
    infos = list(known_rules().values())
    checks = list(known_checks().values())
    if as_json:
        documents = [rule_document(info) for info in infos]
        print_json({"rules": documents, "lint": [lint_document(info) for info in checks]})
    else:
        _print_table("rule", "status", [(i.name, i.code, i.status, i.summary) for i in infos])
        _print_table(
            "check of code",
            "severity",
            [(i.name, i.code, i.severity.name.lower(), i.summary) for i in checks],
        )
        click.echo(
            f"{len(infos)} rules, {len(checks)} checks of code; `steadytrain explain NAME` shows one in full."
        )


def _print_table(what: str, third: str, rows: list[tuple[str, str, str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    from steadytrain.report.names import visible

    table = Table(what, "code", third, "what it says", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(visible(" ".join(cell.split()))) for cell in row))
    stdout_console().print(table)
    click.echo()
