"""Batches read lazily through a function, and what stands in a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import torch
from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.doctor.scene import Scene

LOOKED_AT: Final = 200
"""Batches from which statistics are taken."""


class Reread:
    """What `read(batches)` yields, anew for every pass over the data."""

    def __init__(self, batches: Iterable[Any], read: Callable[[Iterable[Any]], Any]) -> None:
        self.batches, self.read = batches, read

    def __iter__(self) -> Iterator[Any]:
        return iter(self.read(self.batches))

    def __deepcopy__(self, _memo: dict[int, Any]) -> Reread:
        return self


def put_data(program: Program, read: Callable[[Iterable[Any]], Any]) -> Program:
    """The program reads its batches through `read`."""
    program.batches = Reread(program.batches, read)
    return program


def mapped(function: Callable[[Any], Any]) -> Callable[[Iterable[Any]], Iterator[Any]]:
    """Reads every batch through `function`."""
    return lambda batches: map(function, batches)


def looked_at(program: Program, scene: Scene) -> list[Any]:
    """Some batches of the program: those of the observed run where there are any."""
    return list(islice(scene.batches or program.batches, LOOKED_AT))


def tensors(batch: Any) -> list[Tensor]:
    """The tensors of a batch, in order."""
    if isinstance(batch, Tensor):
        return [batch]
    parts = batch.values() if isinstance(batch, dict) else batch
    if not isinstance(batch, dict | list | tuple):
        return []
    return [tensor for part in parts for tensor in tensors(part)]


def size_of(batch: Any) -> int:
    """The samples of a batch: the first dimension of its first tensor."""
    found = tensors(batch)
    return len(found[0]) if found and found[0].ndim else 1


def replaced(batch: Any, place: int, function: Callable[[Tensor], Tensor]) -> Any:
    """The batch with its tensor at `place` (in the order of `tensors`) put through `function`."""
    return _replaced(batch, [place], function)


def inputs_place(batch: Any) -> int | None:
    """Which tensor is the inputs: the first, where it is one of quantities."""
    found = tensors(batch)
    return 0 if found and found[0].is_floating_point() and found[0].ndim > 1 else None


def target_place(batch: Any) -> int | None:
    """Which tensor is the target: the second, where there are at least two of one length."""
    found = tensors(batch)
    return (
        1 if len(found) > 1 and found[0].ndim and found[1].shape[:1] == found[0].shape[:1] else None
    )


def is_finite(batch: Any) -> bool:
    """Whether every number of the batch is finite."""
    return all(bool(one.isfinite().all()) for one in tensors(batch) if one.is_floating_point())


def column_statistics(found: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each column over all rows; of each channel of pictures.

    Non-finite numbers are left out; a constant column has deviation 1.
    """
    rows = torch.cat([_rows(one.detach().float()) for one in found])
    finite = rows.isfinite()
    count = finite.sum(0).clamp(min=1)
    mean = rows.nan_to_num(0, 0, 0).sum(0) / count
    squares = (rows - mean).square().nan_to_num(0, 0, 0)
    deviation = (torch.where(finite, squares, 0).sum(0) / count).sqrt()
    return mean, torch.where(deviation > 1e-12, deviation, 1.0)


def standardised(tensor: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """The tensor at mean 0 and deviation 1, by its columns or channels."""
    if tensor.ndim >= 4:
        shape = (1, -1, *([1] * (tensor.ndim - 2)))
        return (tensor - mean.view(shape)) / deviation.view(shape)
    return (tensor - mean) / deviation


def _rows(tensor: Tensor) -> Tensor:
    """Samples by columns; pictures [n, channels, ...] as pixels by channels."""
    if tensor.ndim >= 4:
        return tensor.movedim(1, -1).flatten(0, -2)
    return tensor.reshape(-1, tensor.shape[-1]) if tensor.ndim > 1 else tensor.reshape(-1, 1)


def _replaced(value: Any, left: list[int], function: Callable[[Tensor], Tensor]) -> Any:
    """Depth first; `left` counts down to the tensor that is meant."""
    if isinstance(value, Tensor):
        left[0] -= 1
        return function(value) if left[0] == -1 else value
    if isinstance(value, dict):
        return {name: _replaced(part, left, function) for name, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_replaced(part, left, function) for part in value))
    if isinstance(value, list | tuple):
        return type(value)(_replaced(part, left, function) for part in value)
    return value
