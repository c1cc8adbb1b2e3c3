"""Whose gradients a clip is asked to change: each parameter once, with a name to call it by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from torch import Tensor, nn

from steadytrain.core.errors import UsageError

Parameters = nn.Module | Tensor | Iterable[Tensor] | Iterable[tuple[str, Tensor]]
"""A model, a tensor, its parameters, or its named parameters."""


def named_once(parameters: Parameters) -> dict[str, Tensor]:
    """Every parameter once, by its name, or by its place where names are not given.

    A tensor that appears twice (tied weights, parameter groups that overlap) is one parameter:
    counted twice, it would weigh double in a norm.

    Raises:
        UsageError: there is nothing to clip, or something in it is no tensor.
    """
    if isinstance(parameters, nn.Module):
        parameters = parameters.named_parameters()
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    if not given:
        msg = "there is nothing to clip: found no parameter. A generator such as"
        msg = f"{msg} model.parameters() is empty once it has been read; expected a fresh one."
        raise UsageError(f"{msg} Pass model.parameters() itself, or keep it as a list.")
    seen: set[int] = set()
    found: dict[str, Tensor] = {}
    for place, one in enumerate(given):
        name, tensor = _pair(place, one)
        if id(tensor) not in seen:
            seen.add(id(tensor))
            found[name] = tensor
    return found


def with_gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    """The parameters that have a gradient with at least one element in it."""
    return [one for one in parameters if one.grad is not None and one.grad.numel()]


def gradients(parameters: Iterable[Tensor]) -> list[Tensor]:
    """The gradients of `with_gradients`, in the same order."""
    return [cast("Tensor", one.grad) for one in with_gradients(parameters)]


def _pair(place: int, one: object) -> tuple[str, Tensor]:
    if isinstance(one, Tensor):
        return f"parameter {place}", one
    if isinstance(one, tuple) and len(one) == 2 and isinstance(one[1], Tensor):
        return str(one[0]), one[1]
    msg = f"parameters must be tensors or (name, tensor) pairs, found {type(one).__name__!r}"
    raise UsageError(f"{msg} at place {place}. Pass model.parameters() or named_parameters().")
