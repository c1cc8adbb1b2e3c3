"""The targets that reach the loss are moved: by a sample, by a position, or down to class zero."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._data import (
    looked_at,
    mapped,
    put_data,
    replaced,
    target_place,
    tensors,
)
from steadytrain.doctor.changes._losses import Arguments, call, loss_handlers
from steadytrain.doctor.changes._wrapping import intercept
from steadytrain.doctor.scene import Scene


def moved(program: Program, scene: Scene, *, by: int) -> Program | None:
    """Each target goes with the input before or after its own.

    In the batch where it holds inputs and targets, along time where there is one; else where the
    targets reach a loss of torch.
    """
    place = target_place(looked_at(program, scene)[0])
    if place is not None:
        rolled = partial(_rolled, by)
        return put_data(program, mapped(lambda batch: replaced(batch, place, rolled)))
    if not scene.loss_calls:
        return None
    return intercept(program, partial(_moving, by))


def from_zero(program: Program, scene: Scene) -> Program | None:
    """The smallest class becomes 0."""
    batches = looked_at(program, scene)
    place = target_place(batches[0])
    if place is None or tensors(batches[0])[place].is_floating_point():
        return None
    lowest = min(int(tensors(batch)[place].min()) for batch in batches)
    if lowest <= 0:
        return None
    lowered = partial(_lowered, lowest)
    return put_data(program, mapped(lambda batch: replaced(batch, place, lowered)))


def _rolled(by: int, target: Tensor) -> Tensor:
    return target.roll(by, dims=1 if target.ndim == 2 and target.shape[1] > 1 else 0)


def _lowered(lowest: int, target: Tensor) -> Tensor:
    return target - lowest


def _moving(by: int) -> Any:
    return loss_handlers(_moved(by))


def _moved(by: int) -> Callable[[str, Arguments], Tensor]:
    return lambda name, arguments: call(
        name, {**arguments, "target": _rolled(by, arguments["target"])}
    )


CHANGES = (
    change(
        "shift-labels-back",
        __doc__,
        text="labels shifted back by one place",
        size=3,
        apply=partial(moved, by=-1),
    ),
    change(
        "shift-labels-forward",
        __doc__,
        text="labels shifted forward by one place",
        size=3,
        apply=partial(moved, by=1),
    ),
    change("labels-from-zero", __doc__, text="labels counted from 0", size=3, apply=from_zero),
)
