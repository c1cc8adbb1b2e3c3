"""The samples of all batches are mixed and cut into batches anew, evenly or by class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._data import (
    looked_at,
    put_data,
    replaced,
    size_of,
    target_place,
    tensors,
)
from steadytrain.doctor.scene import Scene


def shuffled(program: Program, scene: Scene) -> Program | None:
    """Every batch is drawn from the whole pass; batches that cannot be cut change places."""
    cut = _can_be_cut(looked_at(program, scene))
    return put_data(program, partial(_mixed if cut else _reordered, scene.seed))


def balanced(program: Program, scene: Scene) -> Program | None:
    """Every class is as frequent as the others."""
    batches = looked_at(program, scene)
    place = target_place(batches[0])
    if place is None or not _can_be_cut(batches):
        return None
    labels = torch.cat([tensors(batch)[place].flatten() for batch in batches])
    is_label = not labels.is_floating_point() and labels.numel() == sum(map(size_of, batches))
    counts = labels.unique(return_counts=True)[1] if is_label else None
    if counts is None or len(counts) < 2 or float(counts.max() / counts.min()) < 1.5:
        return None
    return put_data(program, partial(_even, place, scene.seed))


def _can_be_cut(batches: list[Any]) -> bool:
    """Whether all tensors of every batch count the same samples, of one shape throughout."""
    shapes = {tuple(one.shape[1:] for one in tensors(batch)) for batch in batches}
    alike = all(
        one.ndim > 0 and len(one) == size_of(batch) for batch in batches for one in tensors(batch)
    )
    return len(shapes) == 1 and alike and bool(tensors(batches[0]))


def _mixed(seed: int, batches: Iterable[Any]) -> Iterator[Any]:
    listed = list(batches)
    total = sum(map(size_of, listed))
    order = torch.randperm(total, generator=Generator().manual_seed(seed))
    return _drawn(listed, order)


def _even(place: int, seed: int, batches: Iterable[Any]) -> Iterator[Any]:
    listed = list(batches)
    labels = torch.cat([tensors(batch)[place].flatten() for batch in listed])
    _, classes, counts = labels.unique(return_inverse=True, return_counts=True)
    chances = 1.0 / counts[classes].float()
    draws = Generator().manual_seed(seed)
    return _drawn(
        listed, torch.multinomial(chances, len(labels), replacement=True, generator=draws)
    )


def _reordered(seed: int, batches: Iterable[Any]) -> Iterator[Any]:
    listed = list(batches)
    order = torch.randperm(len(listed), generator=Generator().manual_seed(seed))
    return (listed[place] for place in order.tolist())


def _drawn(listed: list[Any], order: Tensor) -> Iterator[Any]:
    """Batches of the sizes there were, filled in that order."""
    whole = [torch.cat(column) for column in zip(*map(tensors, listed), strict=True)]
    start = 0
    for batch in listed:
        some = order[start : start + size_of(batch)]
        start += len(some)
        filled = batch
        for place, column in enumerate(whole):
            filled = replaced(filled, place, partial(_taken, column, some))
        yield filled


def _taken(column: Tensor, some: Tensor, _old: Tensor) -> Tensor:
    return column[some]


CHANGES = (
    change("shuffle", __doc__, text="samples shuffled over all batches", size=3, apply=shuffled),
    change("balance-classes", __doc__, text="every class equally often", size=3, apply=balanced),
)
