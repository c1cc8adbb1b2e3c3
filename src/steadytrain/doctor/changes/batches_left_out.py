"""Batches that are not finite, suspect or repeated are left out, or their numbers filled in."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final

import torch

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._data import (
    column_statistics,
    is_finite,
    looked_at,
    mapped,
    put_data,
    replaced,
    tensors,
)
from steadytrain.doctor.scene import Scene

APART: Final = 8.0
"""Robust deviations from the other batches, in the logarithm of a batch's size, that stand out."""


def nonfinite(program: Program, scene: Scene) -> Program | None:
    """Batches with a NaN or an infinity."""
    left = [is_finite(batch) for batch in looked_at(program, scene)]
    return put_data(program, _finite) if any(left) and not all(left) else None


def filled(program: Program, scene: Scene) -> Program | None:
    """A number that is not finite becomes the mean of the finite ones in its column."""
    batches = looked_at(program, scene)
    if all(map(is_finite, batches)):
        return None
    for place, one in enumerate(tensors(batches[0])):
        if one.is_floating_point() and one.ndim:
            mean, _ = column_statistics([tensors(batch)[place] for batch in batches])
            fill = partial(_filled, place, mean)
            if len(tensors(program.validation)) > place:
                program.validation = fill(program.validation)
            put_data(program, mapped(fill))
    return program


def suspects(program: Program, scene: Scene) -> Program | None:
    """The batches that the scene suspects, those unlike the others, those read when it alarmed."""
    batches = looked_at(program, scene)
    places = set(scene.suspects) | set(_outliers(batches)) | set(_alarming(program, scene))
    odd = {digest(batches[place]) for place in places if place < len(batches)}
    left = {digest(batch) for batch in batches} - odd
    if not odd or not left or len(odd) > max(3, len(batches) // 5):
        return None
    return put_data(program, partial(_without, odd))


def repeated(program: Program, scene: Scene) -> Program | None:
    """A batch that was read already in the same pass."""
    found = [digest(batch) for batch in looked_at(program, scene)]
    if scene.batches:  # the observed run may have read several passes
        size = _pass_length(program)
        found = found[:size] if size else found
    return put_data(program, _unique) if len(set(found)) < len(found) else None


def digest(batch: Any) -> bytes:
    """Equal for batches of the same numbers."""
    total = hashlib.blake2b(digest_size=16)
    for one in tensors(batch):
        total.update(str((one.dtype, tuple(one.shape))).encode())
        total.update(one.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    if not tensors(batch):
        total.update(repr(batch).encode())
    return total.digest()


def _filled(place: int, mean: torch.Tensor, batch: Any) -> Any:
    return replaced(batch, place, partial(_in_place_of_nonfinite, mean))


def _in_place_of_nonfinite(mean: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    if values.ndim >= 4:
        mean = mean.view(1, -1, *([1] * (values.ndim - 2)))
    return torch.where(values.isfinite(), values, mean.to(values.dtype))


def _finite(batches: Iterable[Any]) -> Iterator[Any]:
    return (batch for batch in batches if is_finite(batch))


def _without(odd: set[bytes], batches: Iterable[Any]) -> Iterator[Any]:
    return (batch for batch in batches if digest(batch) not in odd)


def _unique(batches: Iterable[Any]) -> Iterator[Any]:
    seen: set[bytes] = set()
    for batch in batches:
        if (key := digest(batch)) not in seen:
            seen.add(key)
            yield batch


def _pass_length(program: Program) -> int:
    try:
        return len(program.batches)  # pyright: ignore[reportArgumentType]
    except TypeError:
        return 0


def _alarming(program: Program, scene: Scene) -> Iterator[int]:
    """The microbatches of the first step that something was said of, after the first."""
    steps = [one.step for one in scene.findings if one.severity > 0 and one.step > 0]
    if not steps:
        return
    first = min(steps)
    for step in (first - 1, first):
        start = step * program.accumulate
        yield from range(start, start + program.accumulate)


def _outliers(batches: list[Any]) -> list[int]:
    """Batches whose largest numbers are of another size than those of the others."""
    sizes = [[_size(one) for one in tensors(batch)] for batch in batches]
    if len(sizes) < 5 or len({len(one) for one in sizes}) > 1:
        return []
    found: set[int] = set()
    for column in zip(*sizes, strict=True):
        middle = sorted(column)[len(column) // 2]
        spread = sorted(abs(one - middle) for one in column)[len(column) // 2]
        limit = APART * max(spread, 0.05)
        found |= {place for place, one in enumerate(column) if not abs(one - middle) <= limit}
    return sorted(found)


def _size(tensor: torch.Tensor) -> float:
    """The logarithm of the largest magnitude; infinite where it is not finite."""
    if not tensor.is_floating_point() or not tensor.numel():
        return 0.0
    largest = float(tensor.abs().max())
    return math.log(largest + 1e-12) if math.isfinite(largest) else math.inf


CHANGES = (
    change(
        "drop-nonfinite",
        __doc__,
        text="batches with non-finite numbers left out",
        size=3,
        apply=nonfinite,
    ),
    change(
        "fill-nonfinite",
        __doc__,
        text="non-finite numbers replaced by their column's mean",
        size=3,
        apply=filled,
    ),
    change("drop-suspects", __doc__, text="the suspect batches left out", size=3, apply=suspects),
    change("deduplicate", __doc__, text="repeated batches left out", size=3, apply=repeated),
)
