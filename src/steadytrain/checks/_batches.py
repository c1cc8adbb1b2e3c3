"""The first batches of a program: read once, given out as copies, cut into samples."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from steadytrain.checks._seen import tensors_in
from steadytrain.core.errors import ProgramError


class FirstBatches:
    """Reads batches as they are asked for and keeps them; the user's own are never handed out."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self._source = _reading(batches)
        self._read: list[Any] = []
        self.ended = False
        """Whether the data has no more batches than were read."""

    def get(self, count: int) -> list[Any]:
        """Copies of the first `count` batches, fewer where the data ends before.

        Raises:
            ProgramError: there is not a single batch.
        """
        while len(self._read) < count and not self.ended:
            try:
                self._read.append(next(self._source))
            except StopIteration:
                self.ended = True
            except Exception as error:  # the user's data set may raise anything
                raise ProgramError(
                    f"Program.batches raised {type(error).__name__} at batch {len(self._read)}: "
                    f"{error}. Expected a batch: read the data by itself and look at that one."
                ) from error
        if not self._read:
            raise ProgramError(
                "Program.batches: got no batch from a whole pass over the data, expected at least "
                "one: check that the data set is not empty and that drop_last does not drop all."
            )
        return [cloned(batch) for batch in self._read[:count]]

    def close(self) -> None:
        """The reading has ended; worker processes of a DataLoader are let go."""
        self._source = iter(())
        self.ended = True


def _reading(batches: Iterable[Any]) -> Iterator[Any]:
    """Begins to read only when the first batch is asked for."""
    yield from _own_loader(batches)


def _own_loader(batches: Iterable[Any]) -> Iterable[Any]:
    """A DataLoader that keeps its iterator between passes is read through a shallow copy."""
    if not isinstance(batches, DataLoader):
        return batches
    twin = copy.copy(batches)
    vars(twin)["_iterator"] = None
    return twin


def cloned(batch: Any) -> Any:
    """A copy that may be changed; the batch itself where it cannot be copied."""
    try:
        return copy.deepcopy(batch)
    except Exception:  # a batch may hold anything; what cannot be copied is used as it is
        return mapped(batch, lambda tensor: tensor.detach().clone())


def mapped(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """The batch with every tensor in its tuples, lists and mappings changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(item, change) for item in cast("Any", value)))
    if isinstance(value, list | tuple):
        return type(cast("Any", value))(mapped(item, change) for item in cast("Any", value))
    if isinstance(value, Mapping):
        changed = {key: mapped(item, change) for key, item in cast("Any", value).items()}
        return changed if type(value) is dict else _like(value, changed)
    return value


def _like(value: Any, changed: dict[Any, Any]) -> Any:
    """The mapping with its items replaced, in its own class where that can be copied."""
    try:
        twin = copy.copy(value)
        for key, item in changed.items():
            twin[key] = item
    except Exception:  # a mapping that cannot be written to is given as a dict
        return changed
    return twin


def num_samples(batch: Any) -> int | None:
    """How many samples a batch has: the length that all of its tensors share; None if none does."""
    reached: list[Tensor] = []
    mapped(batch, lambda tensor: reached.append(tensor) or tensor)
    lengths = {len(tensor) for tensor in reached if tensor.dim()}
    is_whole = len(reached) == len(tensors_in(batch))
    return lengths.pop() if is_whole and len(lengths) == 1 else None


def take(batch: Any, places: Sequence[int]) -> Any:
    """The samples at `places`, in that order; only where `num_samples` gives a number."""

    def chosen(tensor: Tensor) -> Tensor:
        index = torch.as_tensor(list(places), device=tensor.device)
        return tensor.index_select(0, index) if tensor.dim() else tensor

    return mapped(batch, chosen)
