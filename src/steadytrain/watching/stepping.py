"""Which row of the history a measurement belongs to.

A row is an attempted optimizer step. With several optimizers that take turns, a row holds one
step of each: it is complete when one of them comes round again. A clip opens the row, because it
comes before the step; a row whose clip is followed by no step was skipped by the loss scaler.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

EVERYONE: Final = -1
"""The owner of a clip over all parameters, of whichever optimizer."""


class Stepping:
    """The current row, and which optimizers have stepped or been clipped in it.

    Args:
        num_optimizers: optimizers that are watched.
        skips: whether a scaler may leave out a step.
        first: the first row.
    """

    def __init__(self, num_optimizers: int, *, skips: bool, first: int = 0) -> None:
        self.row = first - 1
        self.finished = first
        self.stepped: set[int] = set()
        self.collected: set[int] = set()
        self.inside_step: set[int] = set()
        """Optimizers whose closure is running."""
        self._num_optimizers = num_optimizers
        self._skips = skips
        self._open = False

    def needs_row_for_clip(self, owner: int) -> bool:
        """Whether gradients that are about to be clipped belong to a new row."""
        if not self._open:
            return True
        if self.inside_step:
            return False
        if owner == EVERYONE:
            return bool(self.stepped) or (self._skips and bool(self.collected))
        return owner in self.stepped or (self._skips and owner in self.collected)

    def needs_row_for_step(self, owner: int) -> bool:
        """Whether an optimizer that is about to step does so in a new row."""
        return not self._open or owner in self.stepped

    def is_collected(self, owner: int) -> bool:
        """Whether the optimizer's gradients were measured in this row already."""
        return owner in self.collected or EVERYONE in self.collected

    def open(self) -> None:
        """The next row begins."""
        self.row += 1
        self._open = True
        self.stepped, self.collected = set(), set()

    def step(self, owner: int) -> None:
        """The optimizer has stepped in this row."""
        if not self.stepped:
            self.finished += 1
        self.stepped.add(owner)

    @property
    def was_skipped(self) -> bool:
        """Whether the row's gradients were clipped but no optimizer stepped."""
        return self._open and bool(self.collected) and not self.stepped and self._skips

    @property
    def is_complete(self) -> bool:
        """Whether every optimizer has stepped in this row."""
        return len(self.stepped) >= self._num_optimizers

    @staticmethod
    def owner_of(owners: Iterable[int]) -> int:
        """The one optimizer that holds all of them, or `EVERYONE`."""
        found = set(owners)
        return found.pop() if len(found) == 1 else EVERYONE
