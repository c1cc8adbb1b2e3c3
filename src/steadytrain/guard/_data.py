"""The batches a guard can go back in: rewound after a rollback, and one good step shown again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from steadytrain.guard._judging import Control
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
        self._good_loss: float | None = None
        self._suspect: float | None = None
        self._resume: tuple[int, dict[str, Any]] | None = None
        self._left: dict[str, Any] | None = None
        self._spent: int | None = None

    @property
    def place(self) -> Place | None:
        """Which stream, and batches it has handed out; None where the guard has no stream."""
        return None if self.stream is None else (self._generation, self.stream.position)

    @property
    def can_show_again(self) -> bool:
        """Whether the batches of a step that was good are still held."""
        stream = self.stream
        return stream is not None and self._good is not None and self._good[0] >= stream.oldest

    @property
    def can_hold(self) -> bool:
        """Whether the batch of the step under way can be had again, and the step done as if anew."""
        stream = self.stream
        if stream is None or not self.can_show_again or self._left is None:
            return False
        return stream.position > self._end >= stream.oldest

    @property
    def is_spent(self) -> bool:
        """Whether the loop still holds a batch that it was to let go: of another turn's step."""
        return self.stream is not None and self._spent == self.stream.position

    @property
    def control(self) -> Control | None:
        """What is known of the batch that is shown again; None while none is."""
        if not self.is_showing or self._good_loss is None:
            return None
        return Control(loss=self._good_loss, suspect=self._suspect)

    def follow(self, stream: Stream) -> None:
        """The batches come from `stream` from now on."""
        self.stream = stream
        self._generation += 1
        self._end = stream.position
        self._good = self._resume = self._spent = None
        self.is_showing = False

    def note_good(self, loss: float | None) -> None:
        """The batches since the step before were those of a step that was taken, with that loss."""
        if self.stream is not None and self.stream.position > self._end:
            self._good = (self._end, self.stream.position)
            self._good_loss = math.nan if loss is None else loss
            self._end = self.stream.position

    def show_again(self, sources: RandomSources) -> None:
        """The next batches are those of the last good step; `stop_showing` goes on from here."""
        self._suspect = None
        if self.stream is not None and self._good is not None:
            self._show((self.stream.position, sources.capture()))

    def hold(self, loss: float | None) -> None:
        """The same, but after them come once more those of the step that made one doubt."""
        self._suspect = loss
        if self.stream is not None and self._left is not None:
            self._show((self._end, self._left))

    def _show(self, resume: tuple[int, dict[str, Any]]) -> None:
        assert self.stream is not None
        assert self._good is not None
        self._resume = resume
        self.stream.rewind(self._good[0])
        self._spent = self.stream.position
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
            self._spent = position
            sources.restore(state)
        self._end = self.stream.position

    def rewind(self, place: Place | None) -> bool:
        """The next batch is the one that came after `place`; False where it is not held."""
        self._good = None
        stream, position = self.stream, self._position(place)
        if stream is None or position is None or not stream.oldest <= position <= stream.position:
            return False
        stream.rewind(position)
        self._end = self._spent = position
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

    def hand_out(self, batch: Any) -> None:
        """The loop has the batch now; no more of this size are held than there is memory for."""
        if self.stream is None:
            return
        self._spent = None
        if self.stream.position == self._end + 1:
            self._left = self.stream.sources_after
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
