"""Which rows later truncations have killed."""

from __future__ import annotations

from collections.abc import Iterable

from steadytrain.store.records import MAX_STEP, Truncation


class Truncations:
    """The truncations of a run, met in any order and more than once."""

    def __init__(self, truncations: Iterable[Truncation] = ()) -> None:
        self.epoch = 0
        """The newest truncation that `next` has handed out."""
        self._known: dict[int, Truncation] = {}
        self.meet(truncations)

    def meet(self, truncations: Iterable[Truncation]) -> None:
        """`truncations` are known; of an epoch met before, the first account stands."""
        for truncation in truncations:
            self._known.setdefault(truncation.epoch, truncation)

    def next(self) -> Truncation | None:
        """The truncation that begins the next epoch; None if it is not known."""
        found = self._known.get(self.epoch + 1)
        if found is not None:
            self.epoch += 1
        return found

    def skip_to(self, epoch: int) -> None:
        """The truncations up to `epoch` count as handed out."""
        self.epoch = max(self.epoch, epoch)

    def limit(self, epoch: int) -> int:
        """Rows of `epoch` are alive below this step."""
        return min((t.step for t in self._known.values() if t.epoch > epoch), default=MAX_STEP + 1)

    def has_replaced(self, epoch: int, step: int) -> bool:
        """Whether a process that took up the run went through `step` again."""
        later = (t for t in self._known.values() if t.epoch > epoch and t.resumed)
        return any(t.step <= step for t in later)
