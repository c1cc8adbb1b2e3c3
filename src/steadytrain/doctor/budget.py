"""What a diagnosis may cost, in steps and in seconds, and what it has cost so far."""

from __future__ import annotations

import time
from typing import Final

from steadytrain.core.errors import UsageError
from steadytrain.doctor.progress import Display

TIMES_THE_RUN: Final = 12
"""Default budget: steps of all runs together, over those of the observed run."""


class Budget:
    """Counts steps and time.

    Args:
        steps: of the observed run.
        budget: steps of all runs together; 12 times the observed run if None.
        seconds: wall time; as long as it takes if None.
        display: told of every step.

    Raises:
        UsageError: a number cannot mean what was given.
    """

    def __init__(
        self, steps: int, budget: int | None, seconds: float | None, display: Display
    ) -> None:
        check_count("steps", steps)
        if budget is not None:
            check_count("budget", budget)
        if seconds is not None and not seconds > 0:
            msg = f"diagnose(seconds={seconds!r}) expected a time above 0"
            raise UsageError(f"{msg}: leave it out for as long as it takes.")
        self.steps = steps
        self.total = TIMES_THE_RUN * steps if budget is None else budget
        self.used = 0
        self._ends = None if seconds is None else time.monotonic() + seconds
        self._display = display

    def spend(self, steps: int) -> bool:
        """The steps were run; returns whether there is time for more."""
        self.used += steps
        self._display.advance(steps)
        return not self.is_late

    @property
    def is_late(self) -> bool:
        """Whether the time is over."""
        return self._ends is not None and time.monotonic() >= self._ends

    def allows(self, steps: int) -> bool:
        """Whether so many steps are left, and time."""
        return self.used + steps <= self.total and not self.is_late

    @property
    def cost(self) -> float:
        """Steps of all runs, over those of the observed run."""
        return round(self.used / self.steps, 3)


def check_count(name: str, value: object) -> None:
    """`value` is a whole number from 1 on.

    Raises:
        UsageError: it is not.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        msg = f"diagnose({name}={value!r}) expected a whole number of steps from 1 on"
        raise UsageError(f"{msg}, as in diagnose(program, steps=200).")
