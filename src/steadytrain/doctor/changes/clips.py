"""The norm of all gradients is limited before the update, or what limited them is taken away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._gradients import (
    around_backward,
    around_updates,
    parameters_of,
    scale_of,
    trained,
)
from steadytrain.doctor.changes._wrapping import put_around_step
from steadytrain.doctor.scene import Scene


def tighter(program: Program, _scene: Scene, *, norm: float) -> Program | None:
    """A limit where there is none, or a looser one."""
    if program.step_fn is not None:
        return put_around_step(program, partial(_clipping, norm))
    if program.clip is not None and program.clip <= norm:
        return None
    program.clip = norm
    return program


def typical(program: Program, scene: Scene) -> Program | None:
    """The limit is what the run's gradients usually measure while it is well."""
    if "grad_norm_total" not in scene.history:
        return None
    norms = scene.history.series("grad_norm_total")
    early = norms[np.isfinite(norms) & (norms > 0)][: max(10, scene.steps // 2)]
    return tighter(program, scene, norm=float(np.quantile(early, 0.25))) if len(early) else None


def removed(program: Program, _scene: Scene) -> Program | None:
    """Gradients reach the update as backward left them, whatever stands between."""
    if program.step_fn is not None:
        return put_around_step(program, as_left_by_backward)
    if program.clip is None:
        return None
    program.clip = None
    return program


def loosened(program: Program, _scene: Scene, *, norm: float = 1.0) -> Program | None:
    """Only the norm of all gradients together is limited, at 1."""
    if program.step_fn is not None:
        whole = put_around_step(program, partial(_clipping, norm))
        return None if whole is None else put_around_step(whole, as_left_by_backward)
    if program.clip is None or program.clip >= norm:
        return None
    program.clip = norm
    return program


@contextmanager
def as_left_by_backward(program: Program) -> Iterator[None]:
    """What is done to gradients after backward is undone before the update."""
    left: dict[int, Tensor] = {}

    def keep(run: object) -> object:
        result = run()  # pyright: ignore[reportCallIssue]
        for parameter in trained(program):
            if parameter.grad is not None:
                left[id(parameter)] = parameter.grad.detach().clone()
        return result

    def put_back(optimizer: Optimizer) -> None:
        scale = scale_of(program, optimizer)
        with torch.no_grad():
            for parameter in parameters_of(optimizer):
                if id(parameter) in left:
                    parameter.grad = left.pop(id(parameter)) / scale

    with around_updates(program, put_back), around_backward(program, keep):
        yield


@contextmanager
def _clipping(norm: float, program: Program) -> Iterator[None]:
    def clip(optimizer: Optimizer) -> None:
        clip_grad_norm_(parameters_of(optimizer), norm)

    with around_updates(program, clip):
        yield


CHANGES = (
    change(
        "clip-at-one",
        __doc__,
        text="clip the gradient norm at 1",
        size=1,
        apply=partial(tighter, norm=1.0),
    ),
    change(
        "clip-typical",
        __doc__,
        text="clip the gradient norm at its usual size",
        size=1,
        apply=typical,
    ),
    change("no-clip", __doc__, text="no clipping", size=1, apply=removed),
    change(
        "clip-loosened",
        __doc__,
        text="clip the gradient norm at 1 and nothing else",
        size=1,
        apply=loosened,
    ),
)
