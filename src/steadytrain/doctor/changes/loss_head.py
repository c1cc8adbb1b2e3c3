"""A loss gets the form of output that it expects, whatever the model gives it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._losses import Arguments, call, loss_handlers
from steadytrain.doctor.changes._wrapping import intercept
from steadytrain.doctor.scene import Scene


def apply(program: Program, scene: Scene) -> Program | None:
    """Logits, probabilities and their logarithms are told apart by their numbers."""
    if not any(_fitting(one.name, _arguments(one)) is not None for one in scene.loss_calls):
        return None
    return intercept(program, _heads)


def matched(program: Program, _scene: Scene) -> Program:
    """Where [n, 1] meets [n], the second gets the first one's shape."""
    return intercept(program, _shapes)


def looks_like_chances(values: Tensor, dim: int) -> bool:
    """Whether the numbers are probabilities that add up to one along `dim`."""
    found = values.detach().float()
    inside = bool((found >= 0).all() and (found <= 1 + 1e-4).all())
    return inside and bool(((found.sum(dim) - 1).abs() < 1e-3).all())


def _arguments(call_seen: Any) -> Arguments:
    return {"input": call_seen.input, "target": call_seen.target, **call_seen.arguments}


def _heads() -> Any:
    return loss_handlers(_fitting)


def _fitting(name: str, arguments: Arguments) -> Tensor | None:
    """The loss of the right form of `input`; None where the form is right already."""
    values = arguments.get("input")
    if not isinstance(values, Tensor) or values.ndim < 1 or not values.is_floating_point():
        return None
    if name == "binary_cross_entropy_with_logits":
        return _from_chances_of_one(arguments, values)
    if name not in ("cross_entropy", "nll_loss", "kl_div") or values.ndim < 2:
        return None
    dim = 1 if name != "kl_div" else values.ndim - 1
    logs = _logarithms(values, dim, is_logits=name == "cross_entropy")
    if logs is None:
        return None
    if name == "cross_entropy" and arguments["target"].is_floating_point():
        return call(name, {**arguments, "input": logs})
    options = {k: v for k, v in arguments.items() if k != "label_smoothing"}
    return call("nll_loss" if name == "cross_entropy" else name, {**options, "input": logs})


def _logarithms(values: Tensor, dim: int, *, is_logits: bool) -> Tensor | None:
    """Log-probabilities of what is none; None where the loss got what it expects."""
    if looks_like_chances(values, dim):
        return values.clamp_min(1e-12).log()
    if is_logits or looks_like_chances(values.exp(), dim):
        return None
    return functional.log_softmax(values, dim)


def _from_chances_of_one(arguments: Arguments, values: Tensor) -> Tensor | None:
    found = values.detach()
    if not bool((found >= 0).all() and (found <= 1).all()):
        return None
    return call(
        "binary_cross_entropy_with_logits",
        {**arguments, "input": torch.logit(values, eps=1e-6)},
    )


def _shapes() -> Any:
    handlers = dict.fromkeys(("sub", "__rsub__", "rsub"), _difference)
    return {**handlers, **loss_handlers(_same_shape)}


def _difference(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    first, second, *others = args
    if isinstance(first, Tensor) and isinstance(second, Tensor) and first.shape != second.shape:
        if _is_column_of(first, second):
            second = second.reshape(first.shape)
        elif _is_column_of(second, first):
            first = first.reshape(second.shape)
    return function(first, second, *others, **kwargs)


def _same_shape(name: str, arguments: Arguments) -> Tensor | None:
    values, target = arguments.get("input"), arguments.get("target")
    if not isinstance(values, Tensor) or not isinstance(target, Tensor):
        return None
    if name in ("cross_entropy", "nll_loss") or values.shape == target.shape:
        return None
    if values.numel() != target.numel():
        return None
    return call(name, {**arguments, "target": target.reshape(values.shape)})


def _is_column_of(column: Tensor, row: Tensor) -> bool:
    """Whether one has a dimension of 1 more than the other, and they are otherwise equal."""
    return column.ndim == row.ndim + 1 and column.shape[-1] == 1 and column.shape[:-1] == row.shape


CHANGES = (
    change(
        "logits-head",
        __doc__,
        text="the loss given the form of output it expects",
        size=3,
        apply=apply,
    ),
    change(
        "shape-match",
        __doc__,
        text="predictions and targets of one shape",
        size=3,
        apply=matched,
    ),
)
