"""The progress bar of a training run on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from steadytrain.core.history import History
from steadytrain.core.program import Program
from steadytrain.training.progress import describe

REFRESH_SECONDS: Final = 0.2


class Terminal(Console):
    """A console that goes quiet when its terminal is gone; rich's own ends the process."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


class Bar:
    """A bar with loss, gradient norm, learning rate, steps per second and the time left.

    Args:
        first: steps that were finished before.
        steps: steps wanted in all.
        console: standard error if None.

    Cost: a clock reading per step; the terminal is written at most every `REFRESH_SECONDS`, with
    numbers that were flushed to the history anyway.
    """

    def __init__(self, first: int, steps: int, console: Console | None = None) -> None:
        self._bar = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[numbers]}", markup=False),
            TimeRemainingColumn(),
            console=console or Terminal(stderr=True),
            auto_refresh=False,
        )
        self._task = self._bar.add_task("", total=steps, completed=first, numbers="")
        self._first = first
        self._began = monotonic()
        self._shown = -math.inf
        self._broken = False
        with self._terminal():
            self._bar.start()

    def update(self, program: Program, history: History, *, last: bool = False) -> None:
        """The newest numbers are on the terminal, unless they were a moment ago."""
        now = monotonic()
        if self._broken or (now - self._shown < REFRESH_SECONDS and not last):
            return
        self._shown = now
        rate = (program.step - self._first) / max(now - self._began, 1e-9)
        numbers = describe(history, float(program.optimizer.param_groups[0]["lr"]), rate)
        with self._terminal():
            self._bar.update(self._task, completed=program.step, numbers=numbers, refresh=True)

    def say(self, text: str) -> None:
        """The text stands above the bar."""
        with self._terminal():
            self._bar.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """The bar stays as it is, the cursor is back."""
        with self._terminal():
            self._bar.stop()

    @contextmanager
    def _terminal(self) -> Iterator[None]:
        try:
            yield
        except OSError:  # the terminal was closed: nobody is looking, training goes on
            self._broken = True
