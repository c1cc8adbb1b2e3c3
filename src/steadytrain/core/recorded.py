"""A one-shot iterator of batches that can be read again, within a bound of memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from steadytrain.core.errors import ProgramError

MAX_BYTES: Final = 1 << 30

_END: Final = object()


class RecordedBatches:
    """A one-shot iterator of batches that can be read again from its beginning.

    What was read is kept, by reference, up to `max_bytes`; an iterator without end goes on beyond
    that without taking more memory, but nobody can then read again what was not kept.

    Args:
        source: read once.
        max_bytes: of tensors and arrays in the batches that are kept.

    Example:
        >>> batches = RecordedBatches(iter([1, 2, 3]))
        >>> list(batches), list(batches)
        ([1, 2, 3], [1, 2, 3])
    """

    def __init__(self, source: Iterator[Any], max_bytes: int = MAX_BYTES) -> None:
        self._source = source
        self._kept: list[Any] = []
        self._free_bytes = max_bytes
        self._is_full = False
        self._num_read = 0

    def __iter__(self) -> Iterator[Any]:
        """The batches from the first one on.

        Raises:
            ProgramError: the next one was read before and is not kept.
        """
        for index in itertools.count():
            if index < len(self._kept):
                yield self._kept[index]
                continue
            if index < self._num_read:
                raise ProgramError(self._gone(index))
            batch = next(self._source, _END)
            if batch is _END:
                return
            self._keep(batch)
            yield batch

    def __deepcopy__(self, memo: dict[int, Any]) -> RecordedBatches:
        return self

    def _keep(self, batch: Any) -> None:
        self._num_read += 1
        size = num_bytes(batch)
        self._is_full = self._is_full or size > self._free_bytes
        if not self._is_full:
            self._free_bytes -= size
            self._kept.append(batch)

    def _gone(self, index: int) -> str:
        return (
            f"Program.batches: got an iterator that can be read once, of which the first "
            f"{len(self._kept)} batches are kept and batch {index + 1} was read before, expected "
            "something that can be read again that far. Pass a DataLoader, a list, or an object "
            "whose __iter__ starts anew."
        )


def num_bytes(batch: Any) -> int:
    """The memory of the tensors and arrays in a batch, however they are nested."""
    size = getattr(batch, "nbytes", None)
    if isinstance(size, int):
        return size
    if isinstance(batch, Mapping):
        return sum(map(num_bytes, cast("Mapping[Any, Any]", batch).values()))
    if isinstance(batch, list | tuple):
        return sum(map(num_bytes, cast("list[Any]", batch)))
    return 0
