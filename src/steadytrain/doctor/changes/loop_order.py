"""One thing about the user's own step is put right: clearing, stepping, dividing, the order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._gradients import (
    around_backward,
    around_updates,
    multiply,
    parameters_of,
    trained,
)
from steadytrain.doctor.changes._wrapping import put_around_step
from steadytrain.doctor.changes.clips import as_left_by_backward
from steadytrain.doctor.scene import Scene, optimizers_of


def cleared(program: Program, _scene: Scene) -> Program | None:
    """Every step begins without gradients."""
    return put_around_step(program, _cleared)


def stepped(program: Program, _scene: Scene) -> Program | None:
    """Every optimizer steps once in every step, where the user's step does not do it."""
    return put_around_step(program, _stepped)


def divided(program: Program, _scene: Scene) -> Program | None:
    """Gradients that several backward passes added up are divided by their number."""
    return put_around_step(program, _divided)


def in_order(program: Program, _scene: Scene) -> Program | None:
    """Whatever is done to gradients between backward and update is undone, and stale ones go."""
    found = put_around_step(program, as_left_by_backward)
    return None if found is None else put_around_step(found, _cleared)


@contextmanager
def _cleared(program: Program) -> Iterator[None]:
    for parameter in trained(program):
        parameter.grad = None
    yield


@contextmanager
def _stepped(program: Program) -> Iterator[None]:
    done: set[int] = set()
    waiting: dict[int, tuple[Optimizer, dict[Tensor, Tensor]]] = {}

    def note(optimizer: Optimizer) -> None:
        done.add(id(optimizer))

    def keep(run: Callable[[], Any]) -> Any:
        result = run()
        for optimizer in optimizers_of(program):
            held = _with_gradient(optimizer)
            if held and id(optimizer) not in waiting:
                # the first backward that reaches an optimizer is its own; later ones pass through
                waiting[id(optimizer)] = (optimizer, {p: _copied(p) for p in held})
        return result

    with around_updates(program, note), around_backward(program, keep):
        yield
    for key, (optimizer, gradients) in waiting.items():
        if key not in done:
            for parameter, gradient in gradients.items():
                parameter.grad = gradient
            optimizer.step()
            optimizer.zero_grad()


def _with_gradient(optimizer: Optimizer) -> list[Tensor]:
    return [p for p in parameters_of(optimizer) if p.grad is not None]


def _copied(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad.detach().clone()


@contextmanager
def _divided(program: Program) -> Iterator[None]:
    counts: dict[int, int] = {}

    def count(run: Callable[[], Any]) -> Any:
        result = run()
        for optimizer in optimizers_of(program):
            if any(p.grad is not None for p in parameters_of(optimizer)):
                counts[id(optimizer)] = counts.get(id(optimizer), 0) + 1
        return result

    def divide(optimizer: Optimizer) -> None:
        multiply(parameters_of(optimizer), 1.0 / max(1, counts.pop(id(optimizer), 1)))

    with around_updates(program, divide), around_backward(program, count):
        yield


CHANGES = (
    change(
        "clear-gradients",
        __doc__,
        text="gradients cleared before each step",
        size=2,
        apply=cleared,
    ),
    change(
        "missing-step", __doc__, text="every optimizer steps once per step", size=2, apply=stepped
    ),
    change(
        "divide-by-microbatches",
        __doc__,
        text="gradients divided by the number of backward passes",
        size=1,
        apply=divided,
    ),
    change(
        "raw-gradients",
        __doc__,
        text="clear, backward, update: nothing in between",
        size=2,
        apply=in_order,
    ),
)
