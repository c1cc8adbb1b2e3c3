"""A softmax runs over the classes, a recurrent layer over time."""

from __future__ import annotations

from typing import Any

from torch import nn

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._calls import Handlers
from steadytrain.doctor.changes._observing import calls_made
from steadytrain.doctor.changes._wrapping import intercept, intercept_models
from steadytrain.doctor.scene import Scene, models_of

_FUNCTIONS = ("softmax", "log_softmax", "softmin", "logsumexp")


def last_axis(program: Program, scene: Scene) -> Program | None:
    """A softmax over the first dimension of several runs over the last one."""
    calls = calls_made(program, scene, _FUNCTIONS)
    if not any(_is_first(one.args, one.kwargs) for one in calls):
        return None
    return intercept(intercept_models(program, _handlers), _handlers)


def batch_first(program: Program, _scene: Scene) -> Program | None:
    """Recurrent and attention layers take the other of the first two dimensions for time."""
    layers = [
        one
        for model in models_of(program)
        for one in model.modules()
        if isinstance(getattr(one, "batch_first", None), bool) and isinstance(one, nn.Module)
    ]
    for layer in layers:
        layer.batch_first = not layer.batch_first  # pyright: ignore[reportArgumentType]
    return program if layers else None


def _is_first(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    values = args[0]
    dim = args[1] if len(args) > 1 else kwargs.get("dim")
    return values.ndim > 1 and isinstance(dim, int) and dim % values.ndim == 0


def _handlers() -> Handlers:
    return dict.fromkeys(_FUNCTIONS, _over_last)


def _over_last(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not _is_first(args, kwargs):
        return function(*args, **kwargs)
    options = {k: v for k, v in kwargs.items() if k != "dim"}
    return function(args[0], -1, *args[2:], **options)


CHANGES = (
    change(
        "last-axis",
        __doc__,
        text="softmax over the last dimension instead of the batch",
        size=3,
        apply=last_axis,
    ),
    change(
        "batch-first",
        __doc__,
        text="the other dimension taken for time",
        size=3,
        apply=batch_first,
    ),
)
