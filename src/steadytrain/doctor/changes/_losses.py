"""The losses of `torch.nn.functional`: their arguments by name, and the loss of a whole step."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from torch import Tensor
from torch.nn import functional

from steadytrain.core.program import Program
from steadytrain.doctor.changes._calls import Handler, Handlers, intercepted
from steadytrain.doctor.changes._wrapping import put_around_step

LOSSES: Final = (
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "gaussian_nll_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
)
"""Losses that compare an input with a target, element by element or class by class."""

Arguments = dict[str, Any]
Revise = Callable[[str, Arguments], Any]
"""Gets the loss's name and its arguments; returns its value, or None to leave it as it is."""


def loss_handlers(revise: Revise, names: tuple[str, ...] = LOSSES) -> Handlers:
    """Handlers under which the named losses are what `revise` says."""
    return {name: _handler(name, revise) for name in names}


def call(name: str, arguments: Arguments) -> Tensor:
    """The loss of that name."""
    return getattr(functional, name)(**arguments)


def _handler(name: str, revise: Revise) -> Handler:
    def handle(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        try:
            bound = inspect.signature(getattr(functional, name)).bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)
        value = revise(name, dict(bound.arguments))
        return function(*args, **kwargs) if value is None else value

    return handle


def put_loss(program: Program, loss_of: Callable[[Tensor, Any], Tensor]) -> Program | None:
    """The step goes backward from `loss_of(loss, batch)`; the loss it reports may be the old one."""
    if program.step_fn is None:
        program.loss_fn = _Changed(program.loss_fn, loss_of)
        return program
    program.step_fn = partial(_from_changed_loss, program.step_fn, loss_of)
    return program


def put_tracked_loss(
    program: Program, make: Callable[[], tuple[Handlers, Callable[[Tensor], Tensor]]]
) -> Program | None:
    """The step goes backward from a loss that is made of what the handlers saw.

    Args:
        program: changed in place.
        make: for each step, handlers and the function that makes the new loss of the old one.
    """
    if program.step_fn is None:
        program.loss_fn = _Tracked(program.loss_fn, make)
        return program
    return put_around_step(program, partial(_tracking, make))


class _Changed:
    """A loss function whose value is changed."""

    def __init__(self, inner: Any, loss_of: Callable[[Tensor, Any], Tensor]) -> None:
        self.inner, self.loss_of = inner, loss_of

    def __call__(self, model: Any, batch: Any) -> Tensor:
        return self.loss_of(self.inner(model, batch), batch)


class _Tracked:
    """A loss function whose calls of torch are seen, and whose value is changed."""

    def __init__(self, inner: Any, make: Any) -> None:
        self.inner, self.make = inner, make

    def __call__(self, model: Any, batch: Any) -> Tensor:
        handlers, loss_of = self.make()
        with intercepted(model, handlers):
            loss = self.inner(model, batch)
        return loss_of(loss)


def _from_changed_loss(
    own: Any, loss_of: Callable[[Tensor, Any], Tensor], program: Program, batch: Any
) -> Any:
    def handle(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return function(loss_of(args[0], batch), *args[1:], **kwargs)

    with intercepted(program, {"backward": handle}):
        return own(program, batch)


def _tracking(make: Any, program: Any) -> Any:
    handlers, loss_of = make()

    def handle(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return function(loss_of(args[0]), *args[1:], **kwargs)

    return intercepted(program, {**handlers, "backward": handle})
