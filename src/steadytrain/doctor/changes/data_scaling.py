"""Inputs or targets are brought to mean 0 and deviation 1, each column or channel by its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._data import (
    column_statistics,
    inputs_place,
    looked_at,
    mapped,
    put_data,
    replaced,
    standardised,
    target_place,
    tensors,
)
from steadytrain.doctor.scene import Scene


def apply(
    program: Program, scene: Scene, *, place_of: Callable[[Any], int | None]
) -> Program | None:
    """The statistics are those of the training batches, for training and validation alike."""
    batches = looked_at(program, scene)
    place = place_of(batches[0])
    if place is None or not tensors(batches[0])[place].is_floating_point():
        return None
    mean, deviation = column_statistics([tensors(batch)[place] for batch in batches])
    if float(mean.abs().max()) < 0.1 and float((deviation.log2().abs()).max()) < 0.15:
        return None
    standard = partial(_standard, place, mean, deviation)
    if _is_like(program.validation, batches[0], place):
        program.validation = standard(program.validation)
    return put_data(program, mapped(standard))


def _standard(place: int, mean: Tensor, deviation: Tensor, batch: Any) -> Any:
    return replaced(batch, place, lambda one: standardised(one.float(), mean, deviation))


def _is_like(validation: Any, batch: Any, place: int) -> bool:
    """Whether the validation data is one batch of the same form."""
    mine, theirs = tensors(validation), tensors(batch)
    return (
        type(validation) is type(batch)
        and len(mine) == len(theirs)
        and mine[place].shape[1:] == theirs[place].shape[1:]
    )


CHANGES = (
    change(
        "normalise-inputs",
        __doc__,
        text="inputs at mean 0 and deviation 1",
        size=3,
        apply=partial(apply, place_of=inputs_place),
    ),
    change(
        "normalise-targets",
        __doc__,
        text="targets at mean 0 and deviation 1",
        size=3,
        apply=partial(apply, place_of=target_place),
    ),
)
