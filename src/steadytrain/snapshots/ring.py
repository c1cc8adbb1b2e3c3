"""The last few snapshots in host memory, as fresh as a stated share of the time allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from steadytrain.core.errors import UsageError
from steadytrain.snapshots.cadence import Cadence
from steadytrain.snapshots.memory import HostMemory
from steadytrain.snapshots.snapshot import Snapshot, capture


class SnapshotRing:
    """Keeps the newest `capacity` snapshots of some parts; an older one makes room for a new one.

    It does not judge what it copies: take a snapshot only of a state that is known to be good.

    Args:
        parts: name -> object, as `capture` takes them.
        capacity: snapshots kept; the memory is `capacity` times the state, used over and over.
        max_share: largest share of the wall time that the copies may take.
        every: steps between two snapshots, instead of choosing them from the measured times.
        clock: seconds from any beginning on.

    Raises:
        UsageError: an option cannot mean what was given.

    Example:
        ```python
        import torch
        from steadytrain.snapshots import SnapshotRing, restore

        model = torch.nn.Linear(2, 1)
        ring = SnapshotRing({"model": model}, capacity=2, every=10)
        for step in range(25):
            if ring.is_due(step):
                ring.take(step)
        assert ring.steps == [10, 20]
        restore(ring.newest(at_most=15), {"model": model})
        ```
    """

    def __init__(
        self,
        parts: Mapping[str, Any],
        *,
        capacity: int = 3,
        max_share: float = 0.01,
        every: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        _check(capacity, max_share, every)
        self.parts = parts
        self.cadence = Cadence(max_share=max_share, every=every, clock=clock)
        self.failure: str | None = None
        """Why the last snapshot could not be taken; None after one that could."""
        self._capacity = capacity
        self._clock = clock
        self._memory = HostMemory()
        self._kept: list[Snapshot] = []

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def steps(self) -> list[int]:
        """The finished steps at which the kept snapshots were taken, oldest first."""
        return [snapshot.step for snapshot in self._kept]

    @property
    def num_bytes(self) -> int:
        """Host memory that the kept snapshots hold."""
        return sum(snapshot.num_bytes for snapshot in self._kept)

    def is_due(self, step: int) -> bool:
        """Whether the cadence asks for a snapshot of this finished step.

        Call it once after every step: the time between two calls is what a step takes.
        """
        self.cadence.pass_step(step)
        newest = self.newest()
        return newest is None or step >= newest.step + self.cadence.interval

    def take(self, step: int, data: Any = None) -> Snapshot | None:
        """The state as it is now is kept as that of `step`; None where there is no memory for it.

        Args:
            step: finished steps.
            data: kept with the snapshot as it is: the position in the data.
        """
        self.drop_after(step - 1)
        began = self._clock()
        snapshot = self._captured(step, data)
        if snapshot is not None:
            self._kept.append(snapshot)
            while len(self._kept) > self._capacity:
                self._give_up(0)
            self.cadence.note_copy(self._clock() - began)
        return snapshot

    def newest(self, at_most: int | None = None) -> Snapshot | None:
        """The newest snapshot, or the newest of those up to a step; None where there is none."""
        fitting = [s for s in self._kept if at_most is None or s.step <= at_most]
        return fitting[-1] if fitting else None

    def drop_after(self, step: int) -> None:
        """Every snapshot of a later step is given up; it must not be used any more."""
        while self._kept and self._kept[-1].step > step:
            self._give_up(-1)

    def clear(self) -> None:
        """Every snapshot is given up, and the memory too."""
        self._kept = []
        self._memory = HostMemory()

    def _captured(self, step: int, data: Any) -> Snapshot | None:
        """A new snapshot; when memory is short, the oldest ones make room for it."""
        if len(self._kept) >= max(2, self._capacity):
            self._give_up(0)
        while True:
            try:
                taken = capture(self.parts, step=step, memory=self._memory, data=data)
            except (MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                self.failure = f"no memory for a snapshot of step {step}: {error}"
            else:
                self.failure = None
                return taken
            self._memory = HostMemory()
            if len(self._kept) <= 1:  # the last good state is worth more than a newer one
                return None
            del self._kept[0]

    def _give_up(self, place: int) -> None:
        snapshot = self._kept.pop(place)
        self._memory.give_back(snapshot.tensors)
        snapshot.tensors.clear()  # whoever still holds it is refused, not given other values


def _is_out_of_memory(error: Exception) -> bool:
    said = str(error).lower()
    return isinstance(error, MemoryError) or "memory" in said


def _check(capacity: int, max_share: float, every: int | None) -> None:
    if not capacity >= 1:
        raise UsageError(f"SnapshotRing(capacity={capacity!r}): expected at least 1 snapshot.")
    if not 0 < max_share <= 1:
        raise UsageError(
            f"SnapshotRing(max_share={max_share!r}): expected a share above 0 and up to 1, as "
            "0.01 for one hundredth of the wall time."
        )
    if every is not None and not every >= 1:
        raise UsageError(f"SnapshotRing(every={every!r}): expected a number of steps from 1 on.")
