"""Acting on the gradients of a step that is the user's own: after backward, before the update."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from steadytrain.core.program import Program
from steadytrain.doctor.changes._calls import intercepted
from steadytrain.doctor.scene import models_of, optimizers_of

OnBackward = Callable[[Callable[[], Any]], Any]
"""Gets the backward pass as a function to call."""

OnUpdate = Callable[[Optimizer], None]


@contextmanager
def around_updates(
    program: Program, before: OnUpdate | None = None, after: OnUpdate | None = None
) -> Iterator[None]:
    """`before` and `after` are called around every update of every optimizer.

    `before` comes before what else waits for the update: a watch must see the gradients that the
    update takes.
    """
    with ExitStack() as stack:
        for optimizer in optimizers_of(program):
            if before is not None:
                handle = optimizer.register_step_pre_hook(_Hook(before))
                stack.callback(handle.remove)
                _put_first(optimizer)
            if after is not None:
                handle = optimizer.register_step_post_hook(_Hook(after))
                stack.callback(handle.remove)
        yield


@contextmanager
def around_backward(
    program: Program,
    on_backward: OnBackward,
    loss_of: Callable[[Tensor], Tensor] = lambda loss: loss,
    **forced: Any,
) -> Iterator[None]:
    """Every backward pass goes through `on_backward`: a tensor's own, or `torch.autograd.backward`.

    Out of reach are gradients that the user takes by `torch.autograd.grad` and writes himself.

    Args:
        program: whose step runs inside.
        on_backward: calls what it is given, or does not.
        loss_of: the tensor to go backward from, made of the one the user chose.
        forced: arguments of `backward` that are set whatever the user wrote.
    """

    def handle(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        chosen = {**kwargs, **forced}
        return on_backward(lambda: function(loss_of(args[0]), *args[1:], **chosen))

    with intercepted(program, {"backward": handle}):
        yield


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    """Every parameter that the optimizer holds, each once."""
    held = {id(p): p for group in optimizer.param_groups for p in group["params"]}
    return list(held.values())


def trained(program: Program) -> list[Tensor]:
    """Every parameter of the program's models and optimizers, each once."""
    found = {id(p): p for model in models_of(program) for p in model.parameters()}
    for optimizer in optimizers_of(program):
        found |= {id(p): p for p in parameters_of(optimizer)}
    return list(found.values())


def scale_of(program: Program, optimizer: Optimizer) -> float:
    """The factor of the loss scaler that this optimizer's gradients were multiplied with; or 1."""
    for scaler in scalers_of(program):
        states = getattr(scaler, "_per_optimizer_states", {})
        stage = states[id(optimizer)].get("stage") if id(optimizer) in states else None
        if scaler.is_enabled() and getattr(stage, "name", "READY") != "READY":
            return float(scaler.get_scale())
    return 1.0


def scalers_of(program: Program) -> list[Any]:
    """The loss scalers of the program, that of `scaler` first, each once."""
    values = (program.scaler, *program.extra.values())
    found = {id(one): one for one in values if hasattr(one, "unscale_") and hasattr(one, "scale")}
    return list(found.values())


def multiply(parameters: list[Tensor], factor: float) -> None:
    """The gradients are `factor` times what they were."""
    with torch.no_grad():
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(factor)


def _put_first(optimizer: Optimizer) -> None:
    """The hooks of changes, in their order, stand before those of others."""
    hooks: dict[int, Any] = optimizer._optimizer_step_pre_hooks
    for key, hook in list(hooks.items()):
        if not isinstance(hook, _Hook):
            hooks[key] = hooks.pop(key)


class _Hook:
    """A hook of an optimizer that passes on the optimizer only."""

    def __init__(self, call: OnUpdate) -> None:
        self._call = call

    def __call__(self, optimizer: Optimizer, *_args: Any) -> None:
        self._call(optimizer)
