"""Long work as a bar on stderr, or as lines where nobody sees a bar."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from steadytrain.cli._output import say, stderr_console

ProgressReport = Callable[[int, int, str], None]

LINE_SECONDS: Final = 5.0
"""Between two lines in a log: seventy checks of a moment each are not seventy lines."""


@contextmanager
def progress_bar(title: str) -> Iterator[ProgressReport]:
    """Inside the block, the function given shows how much of the work is done."""
    console = stderr_console()
    if not console.is_terminal:
        yield _Lines(title)
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[what]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None, what="")
        yield lambda done, total, what: bar.update(task, completed=done, total=total, what=what)


class _Lines:
    """Says where the work begins, how far it is every `LINE_SECONDS`, and that it is done."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._said = -math.inf

    def __call__(self, done: int, total: int, what: str) -> None:
        if monotonic() - self._said >= LINE_SECONDS or done == total:
            self._said = monotonic()
            say(f"{self._title}: {done} of {total}, {what}")
