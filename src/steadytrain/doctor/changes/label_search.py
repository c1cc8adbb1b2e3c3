"""The targets are moved by the few places at which the inputs predict them best."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._data import (
    column_statistics,
    inputs_place,
    looked_at,
    mapped,
    put_data,
    replaced,
    target_place,
    tensors,
)
from steadytrain.doctor.scene import Scene

REACH: Final = 3
"""Places that are tried to either side."""

CLEARLY: Final = 0.1
"""Share of the targets' variance that a move must explain more than none does."""


def apply(program: Program, scene: Scene) -> Program | None:
    """None where a linear fit on half of the samples explains the rest best as they stand."""
    batches = looked_at(program, scene)[:50]
    target, inputs = target_place(batches[0]), inputs_place(batches[0])
    if target is None or inputs is None or tensors(batches[0])[target].ndim > 2:
        return None
    explained = {
        by: _explained([(tensors(b)[inputs], tensors(b)[target].roll(by, 0)) for b in batches])
        for by in range(-REACH, REACH + 1)
    }
    best = max(explained, key=explained.__getitem__)
    if not explained[best] > explained[0] + CLEARLY:
        return None
    moved = partial(_moved, target, best)
    return put_data(program, mapped(moved))


def _moved(place: int, by: int, batch: Any) -> Any:
    return replaced(batch, place, lambda one: one.roll(by, 0))


def _explained(pairs: list[tuple[Tensor, Tensor]]) -> float:
    """The share of the targets' variance that a ridge regression explains on the second half."""
    rows = torch.cat([one.flatten(1).float() for one, _ in pairs])
    mean, deviation = column_statistics([rows])
    rows = torch.cat([(rows - mean) / deviation, torch.ones(len(rows), 1)], dim=1)
    wanted = (
        torch.cat([_as_numbers(one) for _, one in pairs]) if _is_number(pairs) else _one_hot(pairs)
    )
    wanted = wanted - wanted.mean(0)
    half = len(rows) // 2
    gram = rows[:half].T @ rows[:half] + len(rows) * 0.1 * torch.eye(rows.shape[1])
    fit = torch.linalg.solve(gram, rows[:half].T @ wanted[:half])
    left = (wanted[half:] - rows[half:] @ fit).square().sum()
    return 1.0 - float(left / wanted[half:].square().sum().clamp_min(1e-12))


def _is_number(pairs: list[tuple[Tensor, Tensor]]) -> bool:
    return pairs[0][1].is_floating_point()


def _as_numbers(target: Tensor) -> Tensor:
    return target.float().reshape(len(target), -1)


def _one_hot(pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    labels = torch.cat([one.reshape(-1) for _, one in pairs])
    return functional.one_hot(labels.clamp_min(0)).float()


CHANGE = change(
    "realign-labels",
    __doc__,
    text="labels moved to the inputs that predict them",
    size=3,
    apply=apply,
)
