"""Copies of the model begin every step as the same model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._wrapping import put_around_step
from steadytrain.doctor.scene import Scene, models_of


def apply(program: Program, _scene: Scene) -> Program | None:
    """The replicas in `extra` get the first one's parameters and buffers before each step."""
    return put_around_step(program, _synchronised) if _groups(program) else None


@contextmanager
def _synchronised(program: Program) -> Iterator[None]:
    with torch.no_grad():
        for first, *others in _groups(program):
            state = first.state_dict()
            for other in others:
                other.load_state_dict(state)
    yield


def _groups(program: Program) -> list[list[nn.Module]]:
    """Models of the program that have the same parameters, by name and shape."""
    found: dict[tuple[object, ...], list[nn.Module]] = {}
    for model in models_of(program):
        key = tuple((name, tuple(value.shape)) for name, value in model.state_dict().items())
        found.setdefault(key, []).append(model)
    return [models for models in found.values() if len(models) > 1]


CHANGE = change(
    "sync-replicas", __doc__, text="replicas synchronised before each step", size=2, apply=apply
)
