"""`steadytrain doctor-env`: what this machine and this installation give to a training run."""

from __future__ import annotations

import click

from steadytrain.cli._options import json_option
from steadytrain.cli._output import print_json, stdout_console
from steadytrain.cli._status import FINDINGS, HEALTHY


@click.command(short_help="Say what this machine and installation give to training.")
@json_option
def command(*, as_json: bool) -> int:
    """Look at Python, torch, devices, threads, settings, disk and the optional packages.

    Nothing is changed and nothing leaves the machine. Exit status: 0 everything that is needed is
    there, 1 something stands in the way; what is worth knowing alone does not fail.
    """
    from steadytrain.cli._environment import look_around

    facts = look_around()
    is_fit = not any(fact.state == "problem" for fact in facts)
    if as_json:
        print_json({"healthy": is_fit, "facts": [fact.to_json() for fact in facts]})
        return HEALTHY if is_fit else FINDINGS
    from rich.table import Table
    from rich.text import Text

    from steadytrain.report.names import visible

    table = Table("what", "", "found", box=None, pad_edge=False)
    for fact in facts:
        said = f"{fact.found}. {fact.advice}" if fact.advice else fact.found
        table.add_row(fact.name, fact.state, Text(visible(said)))
    stdout_console().print(table)
    return HEALTHY if is_fit else FINDINGS
