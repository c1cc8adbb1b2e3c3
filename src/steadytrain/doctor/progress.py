"""What a person sees while the doctor works: a bar on a terminal, else nothing."""

from __future__ import annotations

import random
import sys
from contextlib import suppress
from typing import Any, Protocol


class Display(Protocol):
    """Shows how far a diagnosis is."""

    def say(self, text: str) -> None:
        """`text` is what is done now."""
        ...

    def advance(self, steps: int) -> None:
        """So many steps more were run."""
        ...

    def close(self) -> None:
        """The terminal is as it was."""
        ...


class Silence:
    """Shows nothing."""

    def say(self, text: str) -> None: ...

    def advance(self, steps: int) -> None: ...

    def close(self) -> None: ...


class Bar:
    """A bar of the steps that may be run at most, with the trial under way."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._bar: Any = Progress(
            TextColumn("doctor"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[now]}", markup=False),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=total, now="")
        self._bar.start()

    def say(self, text: str) -> None:
        with suppress(OSError):  # the terminal was closed: nobody is looking
            self._bar.update(self._task, now=text)

    def advance(self, steps: int) -> None:
        with suppress(OSError):
            self._bar.advance(self._task, steps)

    def close(self) -> None:
        with suppress(OSError):
            self._bar.stop()


def make_display(show: bool, total: int) -> Display:
    """A bar on standard error where a person can see it, silence elsewhere."""
    if not (show and sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()):
        return Silence()
    state = random.getstate()
    bar = Bar(total)
    random.setstate(state)  # importing rich draws from the generator the user may have seeded
    return bar
