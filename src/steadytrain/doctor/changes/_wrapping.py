"""Putting something around every step of a program, whoever wrote the step.

What is wrapped keeps no reference to a model or an optimizer, so a copy of the program that
shares it is right.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from steadytrain.core.program import Program
from steadytrain.doctor.changes._calls import Handlers, Interception, intercepted
from steadytrain.doctor.scene import models_of

Around = Callable[[Any], AbstractContextManager[Any]]


class Within:
    """A step function or a loss function, called inside a fresh context each time.

    Args:
        inner: `step_fn(program, batch)` or `loss_fn(model, batch)`.
        around: makes the context from the first argument.
    """

    def __init__(self, inner: Callable[[Any, Any], Any], around: Around) -> None:
        self.inner = inner
        self.around = around

    def __call__(self, first: Any, batch: Any) -> Any:
        with self.around(first):
            return self.inner(first, batch)


def put_around(program: Program, around: Around) -> Program:
    """Every step of the program (its loss, where the step is the canonical one) runs inside."""
    if program.step_fn is not None:
        program.step_fn = Within(program.step_fn, around)
    elif program.loss_fn is not None:
        program.loss_fn = Within(program.loss_fn, around)
    return program


def put_around_step(program: Program, around: Around) -> Program | None:
    """The user's own step runs inside; None where the step is the canonical one."""
    if program.step_fn is None:
        return None
    program.step_fn = Within(program.step_fn, around)
    return program


def intercept(program: Program, make: Callable[[], Handlers]) -> Program:
    """The calls of torch in every step go through handlers, made anew for each step."""
    return put_around(program, lambda first: intercepted(first, make()))


def intercept_models(program: Program, make: Callable[[], Handlers]) -> Program:
    """The calls of torch inside the models go through handlers, whoever calls the models.

    A changed model stays a changed model: its validation sees the same.
    """
    for model in models_of(program):
        inside = _Inside(make)
        for part in (model, *model.children()):  # a step may call a part of the model directly
            part.register_forward_pre_hook(inside.enter)
            part.register_forward_hook(inside.leave, always_call=True)
    return program


class _Inside:
    """Hooks that intercept calls between the outermost entry and its end."""

    def __init__(self, make: Callable[[], Handlers]) -> None:
        self.make = make
        self._modes: list[Interception | None] = []

    def enter(self, _module: Any, _inputs: Any) -> None:
        """A forward pass begins."""
        mode = None if self._modes else Interception(self.make())
        self._modes.append(mode)
        if mode is not None:
            mode.__enter__()

    def leave(self, _module: Any, _inputs: Any, _output: Any) -> None:
        """It ended, or failed."""
        mode = self._modes.pop()
        if mode is not None:
            mode.__exit__(None, None, None)
