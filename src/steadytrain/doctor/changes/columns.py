"""Columns that hold the target are emptied; validation data is scaled as the training data is."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import torch
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

TELLING: Final = 0.999
"""A correlation with the target above which a column is the target in another unit."""


def emptied(program: Program, scene: Scene) -> Program | None:
    """Zero stands in every column from which the target can be read."""
    batches = looked_at(program, scene)
    place, target = inputs_place(batches[0]), target_place(batches[0])
    if place is None or target is None or tensors(batches[0])[place].ndim != 2:
        return None
    rows = torch.cat([tensors(batch)[place] for batch in batches]).float()
    wanted = torch.cat([tensors(batch)[target].reshape(-1) for batch in batches]).float()
    if len(rows) != len(wanted) or len(rows) < 16:
        return None
    telling = _correlations(rows, wanted) > TELLING
    if not bool(telling.any()):
        return None
    empty = partial(_emptied, place, telling)
    if tensors(program.validation):
        program.validation = empty(program.validation)
    return put_data(program, mapped(empty))


def rescaled(program: Program, scene: Scene) -> Program | None:
    """Every validation column gets the mean and deviation it has in the training data."""
    batches, validation = looked_at(program, scene), tensors(program.validation)
    place = inputs_place(batches[0])
    if place is None or not validation or validation[0].ndim != tensors(batches[0])[place].ndim:
        return None
    mean, deviation = column_statistics([tensors(batch)[place] for batch in batches])
    own_mean, own_deviation = column_statistics([validation[0]])
    if validation[0].ndim < 4:  # of single columns a few rows say little: one number for all
        mean, deviation = _pooled([tensors(batch)[place] for batch in batches])
        own_mean, own_deviation = _pooled([validation[0]])
    ratio = float((own_deviation / deviation).log().abs().max())
    shift = float(((own_mean - mean) / deviation).abs().max())
    if ratio < 0.2 and shift < 0.2:
        return None

    def brought(one: Tensor) -> Tensor:
        zero = standardised(one.float(), own_mean, own_deviation)
        return standardised(zero, -mean / deviation, 1.0 / deviation)

    program.validation = replaced(program.validation, 0, brought)
    return program


def _pooled(found: list[Tensor]) -> tuple[Tensor, Tensor]:
    whole = torch.cat([one.flatten().float() for one in found])
    whole = whole[whole.isfinite()]
    return whole.mean().reshape(1), whole.std().clamp_min(1e-12).reshape(1)


def _correlations(rows: Tensor, wanted: Tensor) -> Tensor:
    rows, wanted = rows - rows.mean(0), wanted - wanted.mean()
    sizes = rows.square().sum(0) * wanted.square().sum()
    return ((rows * wanted[:, None]).sum(0) / sizes.sqrt().clamp_min(1e-12)).abs()


def _emptied(place: int, telling: Tensor, batch: Any) -> Any:
    return replaced(batch, place, lambda one: one.masked_fill(telling, 0.0))


CHANGES = (
    change(
        "without-leaking-columns",
        __doc__,
        text="columns that hold the target emptied",
        size=3,
        apply=emptied,
    ),
    change(
        "validate-as-trained",
        __doc__,
        text="validation data scaled as the training data",
        size=3,
        apply=rescaled,
    ),
)
