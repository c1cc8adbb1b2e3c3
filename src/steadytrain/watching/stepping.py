"""Which row of the history a measurement belongs to.

A row is an attempted optimizer step. With several optimizers that take turns, a row holds one
step of each: it is complete when one of them comes round again. A clip opens the row, because it
comes before the step. Without an optimizer to follow, a row is what comes between two clips or
two logs of one name. With a scaler, a row whose clip is followed by no step was skipped by the loss scaler,
which is known when the scaler was updated in between: two clips of one step share its row.
"""

from __future__ import annotations

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
        self.collected: dict[int, object] = {}
        """Whose gradients were measured, and in which attempt of the scaler."""
        self.inside_step: set[int] = set()
        """Optimizers whose closure is running."""
        self._num_optimizers = self._expected = num_optimizers
        self._skips = skips
        self.is_open = False

    def needs_row_for_clip(self, owner: int, attempt: object = None) -> bool:
        """Whether gradients that are about to be clipped belong to a new row.

        Args:
            owner: the optimizer that holds them, or `EVERYONE`.
            attempt: the scaler's, as in `Scaling.attempt`.
        """
        if not self.is_open:
            return True
        if self.inside_step:
            return False
        if not self._num_optimizers:
            return owner in self.collected
        concerned = self.collected if owner == EVERYONE else {owner, EVERYONE}
        earlier = [self.collected[one] for one in concerned if one in self.collected]
        skipped = any(one is not attempt for one in earlier)
        return skipped or (bool(self.stepped) if owner == EVERYONE else owner in self.stepped)

    def needs_row_for_step(self, owner: int) -> bool:
        """Whether an optimizer that is about to step does so in a new row."""
        return not self.is_open or owner in self.stepped

    def open(self) -> None:
        """The next row begins."""
        self.row += 1
        self.is_open = True
        self._expected = min(self._expected, len(self.stepped) or self._num_optimizers)
        self.finished += not self._num_optimizers
        self.stepped, self.collected = set(), {}

    def step(self, owner: int) -> None:
        """The optimizer has stepped in this row."""
        if not self.stepped:
            self.finished += 1
        self.stepped.add(owner)

    def is_under_way(self, attempt: object = None) -> bool:
        """Whether the row's gradients were clipped and its step is still to come."""
        waits = self.is_open and bool(self.collected) and not self.stepped
        return waits and all(one is attempt for one in self.collected.values())

    @property
    def was_skipped(self) -> bool:
        """Whether the row's gradients were clipped but no optimizer stepped."""
        return self.is_open and bool(self.collected) and not self.stepped and self._skips

    @property
    def is_complete(self) -> bool:
        """Whether as many optimizers have stepped in this row as in the shortest one so far."""
        return len(self.stepped) >= self._expected
