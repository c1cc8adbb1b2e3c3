"""Long work as a bar on stderr, or as lines where nobody sees a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from steadytrain.cli._output import say, stderr_console

ProgressReport = Callable[[int, int, str], None]


@contextmanager
def progress_bar(title: str) -> Iterator[ProgressReport]:
    """Inside the block, the function given shows how much of the work is done."""
    console = stderr_console()
    if not console.is_terminal:
        yield lambda done, total, what: say(f"{title}: {done} of {total}, {what}")
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
