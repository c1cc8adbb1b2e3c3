"""Whose gradients a clip is asked to change: each parameter once, with a name to call it by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from torch import Tensor, nn

from steadytrain.core.errors import UsageError

Parameters = nn.Module | Tensor | Iterable[Tensor] | Iterable[tuple[str, Tensor]]
"""A model, a tensor, its parameters, or its named parameters."""


def once(parameters: Parameters) -> list[Tensor]:
    """Every parameter once, in the order given.

    A tensor that appears twice (tied weights, parameter groups that overlap) is one parameter:
    counted twice, it would weigh double in a norm.

    Raises:
        UsageError: there is nothing to clip, or something in it is no tensor.
    """
    given = listed(parameters)
    if not set(map(type, given)) <= {Tensor, nn.Parameter}:
        return list(named_once(given).values())
    return list({id(one): one for one in cast("list[Tensor]", given)}.values())


def named_once(parameters: Parameters) -> dict[str, Tensor]:
    """The same by name, or by place where names are not given. Slower than `once`."""
    seen: set[int] = set()
    found: dict[str, Tensor] = {}
    for place, one in enumerate(listed(parameters)):
        name, tensor = _pair(place, one)
        if id(tensor) not in seen:
            seen.add(id(tensor))
            found[name] = tensor
    return found


def listed(parameters: Parameters) -> list[Any]:
    """What was given, read once: a generator has nothing more to say after that.

    Raises:
        UsageError: it had nothing to say the first time.
    """
    if isinstance(parameters, nn.Module):
        parameters = parameters.named_parameters()
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not given:
        msg = "there is nothing to clip: found no parameter. A generator such as"
        msg = f"{msg} model.parameters() is empty once it has been read; expected a fresh one."
        raise UsageError(f"{msg} Pass model.parameters() itself, or keep it as a list.")
    return given


def with_gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    """The parameters that have a gradient with at least one element in it."""
    return [one for one in parameters if one.grad is not None and one.grad.numel()]


def gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    """The gradients of `with_gradients`, in the same order."""
    found = [one.grad for one in parameters]
    return [grad for grad in found if grad is not None and grad.numel()]


def _pair(place: int, one: object) -> tuple[str, Tensor]:
    if isinstance(one, Tensor):
        return f"parameter {place}", one
    if isinstance(one, tuple) and len(one) == 2 and isinstance(one[1], Tensor):
        return str(one[0]), one[1]
    msg = f"parameters must be tensors or (name, tensor) pairs, found {type(one).__name__!r}"
    raise UsageError(f"{msg} at place {place}. Pass model.parameters() or named_parameters().")
