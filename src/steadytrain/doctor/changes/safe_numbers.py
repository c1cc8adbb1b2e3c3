"""An operation is kept away from the place where its value or its slope is not finite."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._calls import Handler, Handlers, intercepted
from steadytrain.doctor.changes._observing import calls_made
from steadytrain.doctor.changes._wrapping import Within, intercept, intercept_models
from steadytrain.doctor.scene import Scene

TINY: Final = 1e-8
SMALL: Final = 1e-12
"""Under a root; its slope is then at most half a million."""


def apply(program: Program, scene: Scene, *, make: Callable[[], Handlers]) -> Program | None:
    """In the model and in the loss, wherever the operation is written; None where it is not."""
    if not calls_made(program, scene, make()):
        return None
    if program.metric_fn is not None:
        program.metric_fn = Within(program.metric_fn, _around(make))
    return intercept(intercept_models(program, make), make)


def _around(make: Callable[[], Handlers]) -> Any:
    return lambda first: intercepted(first, make())


def _logarithms() -> Handlers:
    return dict.fromkeys(("log", "log2", "log10", "xlogy"), _log)


def _log(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    *others, last = args
    return function(*others, _at_least(last, TINY), **kwargs)


def _roots() -> Handlers:
    handlers: dict[str, Handler] = dict.fromkeys(("sqrt", "rsqrt"), _root)
    norms: dict[str, Handler] = dict.fromkeys(("norm", "linalg_vector_norm", "vector_norm"), _norm)
    handlers |= norms
    handlers |= {"pow": _power, "std": _deviation, "pairwise_distance": _finite_slope}
    handlers |= {"cdist": _finite_slope, "dist": _finite_slope}
    return handlers


def _root(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    values = args[0]
    floor = SMALL if values.dtype not in (torch.float16,) else 1e-4
    return function(values.clamp_min(floor), *args[1:], **kwargs)


def _norm(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if _is_differentiable(args[0]):
        args = (_away_from_zero(args[0]), *args[1:])
    return function(*args, **kwargs)


def _power(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    values, *others = args
    power = others[0] if others else kwargs.get("exponent")
    if isinstance(values, Tensor) and isinstance(power, int | float) and 0 < power < 1:
        return function(values.clamp_min(SMALL), *others, **kwargs)
    return function(*args, **kwargs)


def _deviation(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    values, *others = args
    if not _is_differentiable(values):
        return function(*args, **kwargs)
    return (torch.var(values, *others, **kwargs) + SMALL).sqrt()


def _finite_slope(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return function(_away_from_zero(args[0]), *args[1:], **kwargs)


def _away_from_zero(values: Tensor) -> Tensor:
    """The values with every exact zero a little above it, so that a norm has a slope."""
    return torch.where(values == 0, values + 1e-6, values)


def _divisions() -> Handlers:
    handlers: dict[str, Handler] = dict.fromkeys(("div", "true_divide", "__truediv__"), _quotient)
    return {**handlers, "__rdiv__": _inverse, "reciprocal": _inverse}


def _quotient(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    first, second, *others = args
    if isinstance(second, Tensor) and second.is_floating_point():
        second = _off_zero(second)
    elif second == 0:
        second = 1
    return function(first, second, *others, **kwargs)


def _inverse(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return function(_off_zero(args[0]), *args[1:], **kwargs)


def _off_zero(divisor: Tensor) -> Tensor:
    """The divisor at least 1e-8 from zero, on the side where it is."""
    small = divisor.abs() < TINY
    return torch.where(small, torch.where(divisor < 0, -TINY, TINY).to(divisor.dtype), divisor)


def _exponentials() -> Handlers:
    names: dict[str, float] = {"exp": 1.0, "exp2": 1.5, "expm1": 1.0, "cosh": 1.0, "sinh": 1.0}
    return {name: partial(_exponential, factor) for name, factor in names.items()}


def _exponential(factor: float, function: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
    values = args[0]
    if values.is_floating_point():
        # a quarter of the range: products and sums of a few of them are finite too
        highest = 0.25 * factor * float(torch.tensor(torch.finfo(values.dtype).max).log())
        values = _between(values, -highest, highest)
    return function(values, *args[1:], **kwargs)


def _between(values: Tensor, low: float, high: float) -> Tensor:
    """Moved as a whole row where it can be: a ratio of exponentials stays what it is."""
    if values.ndim > 1 and values.shape[-1] > 1:
        top = values.detach().amax(-1, keepdim=True)
        values = values - (top - high).clamp_min(0)
    return values.clamp(low, high)


def _at_least(value: Any, floor: float) -> Any:
    return value.clamp_min(floor) if isinstance(value, Tensor) else max(value, floor)


def _is_differentiable(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


CHANGES = tuple(
    change(name, __doc__, text=text, size=3, apply=partial(apply, make=make))
    for name, text, make in (
        ("safe-log", "logarithms of at least 1e-8", _logarithms),
        ("safe-sqrt", "roots and norms with a slope at zero", _roots),
        ("safe-div", "divisors at least 1e-8 from zero", _divisions),
        ("safe-exp", "exponents within the range of the format", _exponentials),
    )
)
