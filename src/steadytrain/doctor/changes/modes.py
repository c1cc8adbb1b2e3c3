"""The model is in training mode where it trains and in evaluation mode where it is only looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._wrapping import put_around
from steadytrain.doctor.scene import Scene


def training(program: Program, scene: Scene) -> Program | None:
    """Every forward pass that is differentiated runs in training mode."""
    if program.step_fn is None and _is_always_training(program, scene):
        return None
    return put_around(program, _training)


def evaluation(program: Program, _scene: Scene) -> Program | None:
    """Every forward pass that is not differentiated runs in evaluation mode."""
    if program.step_fn is None and program.metric_fn is None:
        return None
    if program.metric_fn is not None:
        program.metric_fn = _Evaluated(program.metric_fn)
    return put_around(program, _evaluation)


class _Evaluated:
    """A metric, taken in evaluation mode."""

    def __init__(self, metric_fn: Any) -> None:
        self.metric_fn = metric_fn

    def __call__(self, model: Any, validation: Any) -> float:
        modes = [(one, one.training) for one in model.modules()]
        model.eval()
        try:
            return self.metric_fn(model, validation)
        finally:
            for one, mode in modes:
                one.training = mode


@contextmanager
def _training(first: Any) -> Iterator[None]:
    def before(module: torch.nn.Module, _inputs: Any) -> None:
        if torch.is_grad_enabled():
            module.train()

    model = first.model if isinstance(first, Program) else first
    parts = [model, *model.children()]  # a step may call a part of the model directly
    handles = [part.register_forward_pre_hook(before) for part in parts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _evaluation(first: Any) -> Iterator[None]:
    modes: dict[int, list[tuple[torch.nn.Module, bool]]] = {}

    def before(module: torch.nn.Module, _inputs: Any) -> None:
        if not torch.is_grad_enabled():
            modes[id(module)] = [(one, one.training) for one in module.modules()]
            module.eval()

    def after(module: torch.nn.Module, _inputs: Any, _output: Any) -> None:
        for one, mode in modes.pop(id(module), []):
            one.training = mode

    model = first.model if isinstance(first, Program) else first
    handles = (
        model.register_forward_pre_hook(before),
        model.register_forward_hook(after, always_call=True),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _is_always_training(program: Program, scene: Scene) -> bool:
    if not all(module.training for module in program.model.modules()):
        return False
    if "training_mode" not in scene.history:
        return True
    seen = scene.history.series("training_mode")
    return bool((seen[np.isfinite(seen)] >= 1).all())


CHANGES = (
    change("train-mode", __doc__, text="training mode in every step", size=2, apply=training),
    change(
        "eval-when-validating",
        __doc__,
        text="evaluation mode wherever nothing is differentiated",
        size=2,
        apply=evaluation,
    ),
)
