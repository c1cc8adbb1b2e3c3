"""The batches in the order they are handed out, each with a position to which one can go back."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from steadytrain.core.errors import UsageError
from steadytrain.snapshots.passes import END, Passes
from steadytrain.snapshots.rng import RandomSources, same_state

_LOADER_STATE_EVERY: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A batch that was handed out, and where its reading left everything."""

    batch: Any
    epoch: int
    num_read: int
    state: dict[str, Any] | None
    """The position after it, where one was noted."""
    before: dict[str, Any] | None
    """The random sources before and after the reading, where it drew from them."""
    after: dict[str, Any] | None


class Stream:
    """Batches without end, pass after pass, with positions counted from 0.

    With `keep` the batches from a position on are held (by reference), so that `rewind` hands
    them out again without reading the data anew: a one-shot iterator can be gone back in as far
    as it is held. A batch that is handed out again puts the random sources where reading it had
    left them, if they stand where they stood before, so that steps done again draw the same
    numbers although nothing is augmented or shuffled anew. What was held is not copied: a step
    that changes its batch in place finds it changed.

    Args:
        batches: re-iterable, a one-shot iterator, or a loader with `state_dict`
            (torchdata's StatefulDataLoader); one item is one microbatch.
        sources: the random sources that reading may draw from.
        resumable: False saves the cost of noting the sources when a pass begins; `state_dict`
            then holds no position that could be taken up.
        keep: hold what is handed out until `forget_before`.

    Example:
        ```python
        from steadytrain.snapshots import RandomSources, Stream

        stream = Stream([10, 20, 30], RandomSources(), keep=True)
        assert [next(stream) for _ in range(4)] == [10, 20, 30, 10]
        stream.rewind(2)
        assert [next(stream) for _ in range(3)] == [30, 10, 20]
        assert stream.position == 5
        ```
    """

    def __init__(
        self,
        batches: Any,
        sources: RandomSources | None = None,
        *,
        resumable: bool = True,
        keep: bool = False,
    ) -> None:
        self.position = 0
        """Batches handed out since the beginning; less again after `rewind`."""
        self.keep = keep
        self._sources = sources or RandomSources()
        self._passes = Passes(batches, self._sources, resumable=resumable)
        self._held: deque[_Entry] = deque()
        self._first_held = 0
        self._base: tuple[dict[str, Any], int] = ({}, 0)
        self.sources_after: dict[str, Any] | None = None
        """The random sources as reading the last batch left them; None without `keep`."""

    @property
    def epoch(self) -> int:
        """Finished passes."""
        entry = self._entry_before(self.position)
        return entry.epoch if entry and self._behind else self._passes.epoch

    @property
    def num_read(self) -> int:
        """Batches handed out in this pass."""
        entry = self._entry_before(self.position)
        return entry.num_read if entry and self._behind else self._passes.num_read

    @property
    def is_reading(self) -> bool:
        """Whether the data is being asked for a batch, or failed to give one."""
        return self._passes.is_reading

    @property
    def oldest(self) -> int:
        """The earliest position that `rewind` can go back to."""
        return self._first_held if self._held else self.position

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Any:
        """The next batch; never raises StopIteration.

        Raises:
            ProgramError: a whole pass over the data gave nothing.
        """
        if self._behind:
            return self._again()
        return self._new(self._passes.read_on)

    def one_pass(self) -> Iterator[Any]:
        """The batches up to the end of the pass; what was rewound comes again."""
        while True:
            batch = self._again() if self._behind else self._new(self._passes.read)
            if batch is END:
                return
            yield batch

    def rewind(self, position: int) -> None:
        """The next batch is the one that was handed out at `position`.

        Raises:
            UsageError: it is not held any more, or was never handed out.
        """
        end = self._first_held + len(self._held) if self._held else self.position
        if not self.oldest <= position <= end:
            raise UsageError(
                f"cannot go to position {position} of the data: batches {self.oldest} to {end} "
                "are held. Keep more of them: call forget_before later."
            )
        self.position = position

    def forget_before(self, position: int) -> None:
        """Batches before `position` are held no longer."""
        while self._held and self._first_held < position:
            state = self._held.popleft().state
            self._first_held += 1
            if state is not None:
                self._base = (state, self._first_held)

    def state_dict(self) -> dict[str, Any]:
        """The position, to be restored by `load_state_dict`."""
        if not self._behind:
            return {"position": self.position, "passes": self._passes.state_dict(), "skip": 0}
        state, noted_at = self._noted_before(self.position)
        return {"position": self.position, "passes": state, "skip": self.position - noted_at}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next batch is the one that would have followed `state_dict`.

        Cost: without a stateful loader, the pass's earlier batches are read again.

        Raises:
            UsageError: the data ends before the place is reached.
        """
        self._held.clear()
        self._passes.load_state_dict(state["passes"])
        for _ in range(state["skip"]):
            self._passes.read_on()
        self.position = state["position"]

    @property
    def _behind(self) -> bool:
        return bool(self._held) and self.position < self._first_held + len(self._held)

    def _entry_before(self, position: int) -> _Entry | None:
        place = position - 1 - self._first_held
        return self._held[place] if 0 <= place < len(self._held) else None

    def _noted_before(self, position: int) -> tuple[dict[str, Any], int]:
        """The last position up to this one whose state was noted, and that state."""
        for place in range(position - 1, self._first_held - 1, -1):
            state = self._held[place - self._first_held].state
            if state is not None:
                return state, place + 1
        return self._base

    def _again(self) -> Any:
        entry = self._held[self.position - self._first_held]
        self.position += 1
        if entry.before and entry.after and not self._sources.moved(entry.before):
            self._sources.restore(entry.after)
        self.sources_after = self._sources.capture()
        return entry.batch

    def _new(self, read: Any) -> Any:
        before = self._sources.capture() if self.keep else None
        if self.keep and not self._held:
            self._first_held = self.position
            self._base = (self._passes.state_dict(), self.position)
        batch = read()
        if batch is END:
            return END
        if before is not None:
            self._hold(batch, before)
        self.position += 1
        return batch

    def _hold(self, batch: Any, before: dict[str, Any]) -> None:
        passes, after = self._passes, self._sources.capture()
        moved = not same_state(before, after)
        self.sources_after = after
        noted = not passes.is_stateful or self.position % _LOADER_STATE_EVERY == 0
        entry = _Entry(
            batch=batch,
            epoch=passes.epoch,
            num_read=passes.num_read,
            state=passes.state_dict() if noted else None,
            before=before if moved else None,
            after=after if moved else None,
        )
        self._held.append(entry)
