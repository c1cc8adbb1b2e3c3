"""What is carried from step to step is carried without its graph, and no graph is retained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._gradients import around_backward
from steadytrain.doctor.changes._wrapping import put_around
from steadytrain.doctor.scene import Scene, models_of


def apply(program: Program, _scene: Scene) -> Program:
    """Tensors in `extra` and on the models that remember how they were computed."""
    return put_around(program, _detached)


@contextmanager
def _detached(first: Any) -> Iterator[None]:
    if not isinstance(first, Program):
        _detach_attributes(first)
        yield
        return
    first.extra = _without_graph(first.extra)
    for model in models_of(first):
        _detach_attributes(model)
    with around_backward(first, _run, retain_graph=False):
        yield
    first.extra = _without_graph(first.extra)


def _run(backward: Callable[[], Any]) -> Any:
    return backward()


def _detach_attributes(model: Any) -> None:
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if not name.startswith("_"):
                new = _without_graph(value)
                if new is not value:
                    setattr(module, name, new)


def _without_graph(value: Any) -> Any:
    """The same; lists and dicts are changed in place, so that whoever holds them sees it."""
    if isinstance(value, Tensor):
        return value.detach() if value.grad_fn is not None else value
    if type(value) is tuple:
        parts = tuple(map(_without_graph, value))
        return parts if any(a is not b for a, b in zip(parts, value, strict=True)) else value
    if type(value) is list:
        value[:] = map(_without_graph, value)
    elif type(value) is dict:
        value.update({name: _without_graph(one) for name, one in value.items()})
    return value


CHANGE = change(
    "detach-state",
    __doc__,
    text="carried state detached, no graph retained",
    size=2,
    apply=apply,
)
