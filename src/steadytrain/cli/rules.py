"""`steadytrain rules`: what is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from steadytrain.cli._options import json_option
from steadytrain.cli._output import print_json, say, stdout_console

if TYPE_CHECKING:
    from steadytrain.core.rule import RuleInfo


@click.command(short_help="List the rules that judge a run.")
@json_option
def command(*, as_json: bool) -> None:
    """List every rule: its name, code, status, and what it says.

    A rule is `preview` until its recall and its false alarms over the fault lab are committed.
    """
    from steadytrain.cli._vocabulary import rule_document
    from steadytrain.engine import broken_rules, known_rules

    for broken in broken_rules():
        say(f"the rule {broken.name!r} of another package could not be loaded: {broken.reason}")
    infos = list(known_rules().values())
    if as_json:
        print_json({"rules": [rule_document(info) for info in infos]})
    else:
        _print_table(infos)


def _print_table(infos: list[RuleInfo]) -> None:
    from rich.table import Table
    from rich.text import Text

    from steadytrain.report.names import visible

    table = Table("rule", "code", "status", "what it says", box=None, pad_edge=False)
    for info in infos:
        table.add_row(
            *(Text(visible(c)) for c in (info.name, info.code, info.status, info.summary))
        )
    stdout_console().print(table)
    click.echo(f"\n{len(infos)} rules; `steadytrain explain NAME` shows one in full.")
