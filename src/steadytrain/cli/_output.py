"""What the command line prints: the answer on stdout, everything else on stderr."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console


def say(text: str) -> None:
    """`text` is on stderr, with what could move a terminal's cursor made visible."""
    from steadytrain.report.names import visible

    click.echo("\n".join(visible(line) for line in text.splitlines()), err=True)


def print_json(document: Mapping[str, Any]) -> None:
    """`document` is on stdout as one JSON document; NaN and infinity stand there by name."""
    click.echo(json.dumps(_strict(document), indent=2, allow_nan=False))


def stdout_console() -> Console:
    """A rich console on stdout; as wide as the terminal, or 100 columns where there is none."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 100, highlight=False)


def stderr_console() -> Console:
    """A rich console on stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Whatever is printed inside, by Python or below it, goes to stderr: stdout is the answer's."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        os.dup2(2, 1)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _strict(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _strict(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
