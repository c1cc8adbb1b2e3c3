"""The microbatches of a run, read once and played again in the same order."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Final

import torch

from steadytrain.core.errors import ProgramError
from steadytrain.core.program import Program
from steadytrain.doctor.data_state import data_as_it_was
from steadytrain.snapshots.rng import RandomSources
from steadytrain.snapshots.stream import Stream

MAX_BYTES: Final = 1 << 30
"""Memory for recorded microbatches; what is recorded until then is played again and again."""


class Tape:
    """Recorded microbatches; every reader gets copies, so that nobody writes into the data.

    Args:
        batches: what is played, in order.
        length: what `len` says, as the data the tape was taken from did; None gives its own.
    """

    def __init__(self, batches: Sequence[Any], length: int | None = None) -> None:
        self.recorded = tuple(batches)
        self._length = length

    def __iter__(self) -> Iterator[Any]:
        return map(copied_batch, self.recorded)

    def __len__(self) -> int:
        return len(self.recorded) if self._length is None else self._length

    def __getitem__(self, index: int) -> Any:
        return copied_batch(self.recorded[index])

    def __deepcopy__(self, memo: dict[int, Any]) -> Tape:
        return self

    def reordered(self, seed: int) -> Tape:
        """The same microbatches in another order, drawn from `seed`."""
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self.recorded), generator=generator).tolist()
        return Tape([self.recorded[index] for index in order], self._length)


def record(program: Program, count: int) -> Tape:
    """The next `count` microbatches of `program`, read as a run would read them.

    The random sources, and the counters and generators of the data, are put back afterwards.

    Raises:
        ProgramError: the data gives nothing, or raises.
    """
    sources = RandomSources.of(program.model, program.batches)
    state = sources.capture()
    try:
        with data_as_it_was(program.batches):
            read = list(_read(program.batches, sources, count))
        return Tape(read, _length_of(program.batches))
    except ProgramError:
        raise
    except Exception as error:
        msg = f"Program.batches raised {type(error).__name__}: {error} while it was read"
        raise ProgramError(f"{msg}, expected {count} microbatches: check the data set.") from error
    finally:
        sources.restore(state)


def _read(batches: Iterable[Any], sources: RandomSources, count: int) -> Iterator[Any]:
    """Up to `count` microbatches; fewer where they are new objects that would fill the memory."""
    stream = Stream(batches, sources, resumable=False)
    seen: set[int] = set()
    kept: list[Any] = []
    used = 0
    for _ in range(count):
        batch = next(stream)
        kept.append(batch)  # alive, so that no later batch gets its identity
        if id(batch) not in seen:
            seen.add(id(batch))
            used += _bytes_of(batch)
        yield batch
        if used > MAX_BYTES:
            return


def copied_batch(batch: Any) -> Any:
    """A copy of a microbatch; the very object where it refuses to be copied."""
    try:
        return copy.deepcopy(batch)
    except Exception:
        return batch


def tensors_in(batch: Any) -> Iterator[torch.Tensor]:
    """The tensors of a microbatch, in order."""
    if isinstance(batch, torch.Tensor):
        yield batch
    elif isinstance(batch, dict):
        yield from itertools.chain.from_iterable(map(tensors_in, batch.values()))
    elif isinstance(batch, list | tuple):
        yield from itertools.chain.from_iterable(map(tensors_in, batch))


def _bytes_of(batch: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors_in(batch))


def _length_of(batches: object) -> int | None:
    try:
        return len(batches) if isinstance(batches, Sized) else None
    except TypeError:  # a DataLoader over a stream has no length and says so only when asked
        return None
