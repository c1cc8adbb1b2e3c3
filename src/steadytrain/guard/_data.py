"""The batches a guard can go back in: rewound after a rollback, and one good step shown again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from steadytrain.snapshots import RandomSources, Stream

Place = tuple[int, int]
"""Which of the streams that were followed, and batches it had handed out."""


class Data:
    """The place in the data, if it is known; without a stream nothing can be gone back to.

    Args:
        max_bytes: host memory that batches may be held in.
    """

    def __init__(self, max_bytes: int) -> None:
        self.stream: Stream | None = None
        self.is_showing = False
        """Whether the batches of the last good step are being shown again."""
        self._max_bytes = max_bytes
        self._generation = 0
        self._end = 0
        self._good: tuple[int, int] | None = None
        self._resume: tuple[int, dict[str, Any]] | None = None

    @property
    def place(self) -> Place | None:
        """Which stream, and batches it has handed out; None where the guard has no stream."""
        return None if self.stream is None else (self._generation, self.stream.position)

    @property
    def can_show_again(self) -> bool:
        """Whether the batches of a step that was good are still held."""
        stream = self.stream
        return stream is not None and self._good is not None and self._good[0] >= stream.oldest

    def follow(self, stream: Stream) -> None:
        """The batches come from `stream` from now on."""
        self.stream = stream
        self._generation += 1
        self._end = stream.position
        self._good = self._resume = None
        self.is_showing = False

    def note_good(self) -> None:
        """The batches since the step before were those of a step that was taken."""
        if self.stream is not None and self.stream.position > self._end:
            self._good = (self._end, self.stream.position)
            self._end = self.stream.position

    def show_again(self, sources: RandomSources) -> None:
        """The next batches are those of the last good step; `stop_showing` goes on from here."""
        if self.stream is not None and self._good is not None:
            self._resume = (self.stream.position, sources.capture())
            self.stream.rewind(self._good[0])
            self.is_showing = True

    def stop_showing(self, sources: RandomSources) -> None:
        """A step is over: what comes next begins here, or where it was left for a good batch."""
        self.is_showing = False
        if self.stream is None:
            return
        if self._resume is not None:
            position, state = self._resume
            self._resume = None
            self.stream.rewind(position)
            sources.restore(state)
        self._end = self.stream.position

    def rewind(self, place: Place | None) -> bool:
        """The next batch is the one that came after `place`; False where it is not held."""
        self._good = None
        stream, position = self.stream, self._position(place)
        if stream is None or position is None or not stream.oldest <= position <= stream.position:
            return False
        stream.rewind(position)
        self._end = position
        return True

    def since(self, place: Place | None) -> int:
        """Batches handed out since `place`; 0 where that is not known."""
        position = self._position(place)
        if self.stream is None or position is None:
            return 0
        return max(0, self.stream.position - position)

    def forget(self, oldest: Place | None) -> None:
        """Batches that nothing goes back to are held no longer."""
        position = self._position(oldest)
        if self.stream is not None and position is not None:
            start = position if self._good is None else min(position, self._good[0])
            self.stream.forget_before(start)

    def limit(self, batch: Any) -> None:
        """No more batches of this size are held than there is memory for."""
        if self.stream is None:
            return
        size = num_bytes(batch)
        if size:
            self.stream.forget_before(self.stream.position - max(1, self._max_bytes // size))

    def _position(self, place: Place | None) -> int | None:
        """The position in the stream that is followed now; None if the place is of another."""
        return place[1] if place is not None and place[0] == self._generation else None


def num_bytes(batch: Any) -> int:
    """The memory of the tensors in a batch."""
    return sum(one.numel() * one.element_size() for one in _tensors(batch))


def _tensors(batch: Any) -> Iterator[Tensor]:
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, dict):
        for item in batch.values():
            yield from _tensors(item)
    elif isinstance(batch, list | tuple):
        for item in batch:
            yield from _tensors(item)
