"""`steadytrain explain NAME`: what a rule, cause, statistic or technique is."""

from __future__ import annotations

import click

from steadytrain.cli._options import json_option
from steadytrain.cli._output import print_json, stdout_console


@click.command(short_help="Say what a rule, cause, statistic or technique is.")
@click.argument("name")
@json_option
def command(name: str, *, as_json: bool) -> None:
    """Show the page of NAME: a rule (by name or code), a cause, a statistic, or a technique."""
    from steadytrain.cli._vocabulary import look_up

    entries = look_up(name)
    if as_json:
        print_json({"name": name, "entries": [document for document, _ in entries]})
        return
    from rich.markdown import Markdown

    console = stdout_console()
    for _, page in entries:
        console.print(Markdown(page))
