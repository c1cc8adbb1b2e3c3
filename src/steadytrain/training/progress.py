"""What a person sees of a training run while it goes on: a bar on a terminal, else nothing."""

from __future__ import annotations

import random
import sys
from typing import Protocol

from steadytrain.core.history import History
from steadytrain.core.program import Program


class Display(Protocol):
    """Shows a run while it goes on."""

    def update(self, program: Program, history: History, *, last: bool = False) -> None:
        """The program's newest finished step is shown, at once if it is the last."""
        ...

    def say(self, text: str) -> None:
        """A person who is looking knows `text`."""
        ...

    def close(self) -> None:
        """The terminal is as it was."""
        ...


class Silence:
    """Shows nothing."""

    def update(self, program: Program, history: History, *, last: bool = False) -> None: ...

    def say(self, text: str) -> None: ...

    def close(self) -> None: ...


def make_display(show: bool, first: int, steps: int) -> Display:
    """A bar on standard error where a person can see it, silence elsewhere."""
    if not (show and sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()):
        return Silence()
    state = random.getstate()
    from steadytrain.training.bar import Bar

    random.setstate(state)  # importing rich draws from the generator the user may have seeded
    return Bar(first, steps)


def describe(history: History, learning_rate: float, steps_per_second: float) -> str:
    """The newest measured numbers, as the bar shows them."""
    parts: list[str] = []
    if _newest(history, "loss_num_nonfinite"):  # the table holds finite losses only
        parts.append("loss not finite")
    elif (loss := _newest(history, "loss")) is not None:
        parts.append(f"loss {loss:.4g}")
    if (norm := _newest(history, "grad_norm_total")) is not None:
        parts.append(f"grad norm {norm:.4g}")
    return "  ".join([*parts, f"lr {learning_rate:.3g}", f"{steps_per_second:.3g} steps/s"])


def _newest(history: History, stat: str) -> float | None:
    _, rows = history.measured(stat, 1)
    return float(rows[-1, 0]) if len(rows) else None
