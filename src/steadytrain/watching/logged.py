"""What the loop tells: numbers under declared names; what is neither is left out and said once."""

from __future__ import annotations

import logging
from typing import Any, Final, cast

from torch import Tensor

from steadytrain.core.stats import STATS

LOG: Final = logging.getLogger("steadytrain")


class Logged:
    """Takes values from `watch.log` without ever raising into the loop, and finds their row.

    What is logged after a backward belongs to the step that follows it, what is logged before
    the next backward to the step that was made. A loop whose first value comes before its first
    backward logs early: there, a second value under one name belongs to the next step.
    """

    def __init__(self) -> None:
        self._warned: set[str] = set()
        self._names: set[str] = set()
        self._waiting: list[tuple[str, Tensor | float]] = []
        self._logs_early = False

    def is_for_next(
        self,
        name: str,
        *,
        has_row: bool,
        is_under_way: bool,
        has_backward: bool,
        is_complete: bool,
        is_blind: bool,
    ) -> bool:
        """Whether a value belongs to the row that is not open yet.

        Args:
            name: the statistic.
            has_row: whether any row is open.
            is_under_way: whether the open row's step is still to come.
            has_backward: whether a gradient arrived since the last step.
            is_complete: whether every optimizer has stepped in the open row.
            is_blind: whether arrivals are not seen, so that `has_backward` says nothing.
        """
        if not has_row:
            self._logs_early |= not has_backward
            return True
        if is_under_way:
            return False
        if has_backward:
            return is_complete or name in self._names
        return (self._logs_early or is_blind) and name in self._names

    def wait(self, name: str, value: Tensor | float) -> None:
        """The value waits for the next row."""
        self._waiting.append((name, value))

    def has(self, name: str) -> bool:
        """Whether the open row has a value of that name."""
        return name in self._names

    @property
    def is_waiting(self) -> bool:
        """Whether a value waits for a row."""
        return bool(self._waiting)

    def note(self, name: str) -> None:
        """The open row has a value of that name."""
        self._names.add(name)

    def take(self) -> list[tuple[str, Tensor | float]]:
        """What waits for the row that opens now."""
        waiting, self._waiting = self._waiting, []
        self._names = {name for name, _ in waiting}
        return waiting

    def one_number(self, name: str, value: object) -> Tensor | float | None:
        """`value` as what can be recorded under `name`, or None with one warning if it cannot."""
        if name not in STATS or STATS[name].kind != "run":
            known = ", ".join(stat for stat in STATS if STATS[stat].kind == "run")
            self._say(name, f"no such statistic of the run, expected one of: {known}")
            return None
        if isinstance(value, Tensor):
            if value.numel() != 1 or value.is_complex():
                self._say(name, f"got a tensor of shape {tuple(value.shape)}, expected one number")
                return None
            return value.detach().reshape(()).clone()
        try:
            return float(cast("Any", value))
        except OverflowError:  # a whole number beyond all floats
            return float("inf") if cast("int", value) > 0 else float("-inf")
        except (TypeError, ValueError):
            self._say(name, f"got {type(value).__name__}, expected a number or a tensor of one")
            return None

    def _say(self, name: str, what: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            LOG.warning("watch.log(%s=...): %s. It is left out; training goes on.", name, what)
