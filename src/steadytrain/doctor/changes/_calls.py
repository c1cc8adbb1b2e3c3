"""Seeing and changing the calls of torch that a step makes, without touching the user's code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from steadytrain.core.program import Program
from steadytrain.doctor.scene import optimizers_of

Function = Callable[..., Any]
Handler = Callable[[Function, tuple[Any, ...], dict[str, Any]], Any]
"""Gets the function of torch with its arguments, and returns what the caller shall get."""

Handlers = Mapping[str, Handler]


def name_of(function: Any) -> str:
    """The function's own name; `get data` for reading the attribute `data` of a tensor."""
    name = getattr(function, "__name__", "")
    return f"get {function.__self__.__name__}" if name == "__get__" else name


class Interception(TorchFunctionMode):
    """Calls of the named functions go to their handlers, all others to torch.

    A handler's own calls are not intercepted. While an optimizer steps nothing is.
    """

    def __init__(self, handlers: Handlers) -> None:
        super().__init__()
        self.handlers = handlers
        self.is_paused = False

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        handler = None if self.is_paused else self.handlers.get(name_of(func))
        if handler is None:
            return func(*args, **(kwargs or {}))
        return handler(func, args, kwargs or {})


@contextmanager
def intercepted(first: Any, handlers: Handlers) -> Iterator[None]:
    """The calls made inside go through `handlers`; `first` is a program or a model."""
    mode = Interception(handlers)
    with ExitStack() as stack:
        if isinstance(first, Program):
            for optimizer in optimizers_of(first):
                before = optimizer.register_step_pre_hook(_Pausing(mode, paused=True))
                after = optimizer.register_step_post_hook(_Pausing(mode, paused=False))
                stack.callback(before.remove)
                stack.callback(after.remove)
        stack.enter_context(mode)
        if "backward" in handlers:
            stack.enter_context(_autograd_intercepted(mode))
        yield


@contextmanager
def _autograd_intercepted(mode: Interception) -> Iterator[None]:
    """`torch.autograd.backward`, of one loss or of many, goes through the handler of `backward` too."""
    plain, handler = torch.autograd.backward, mode.handlers["backward"]

    def quietly(function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        before, mode.is_paused = mode.is_paused, True  # a tensor's own goes on to that of autograd
        try:
            return handler(function, args, kwargs)
        finally:
            mode.is_paused = before

    def backward(tensors: Any, grad_tensors: Any = None, *args: Any, **kwargs: Any) -> Any:
        if mode.is_paused:
            return plain(tensors, grad_tensors, *args, **kwargs)
        named = {**dict(zip(("retain_graph", "create_graph"), args, strict=False)), **kwargs}
        return quietly(plain, (_one_loss(tensors, grad_tensors),), named)

    mode.handlers = {**mode.handlers, "backward": quietly}
    torch.autograd.backward = backward
    try:
        yield
    finally:
        torch.autograd.backward = plain


def _one_loss(tensors: Any, grad_tensors: Any) -> Tensor:
    """A scalar with the gradient that going backward from all of them has."""
    roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    given = [grad_tensors] if isinstance(grad_tensors, Tensor) else list(grad_tensors or ())
    given += [None] * (len(roots) - len(given))
    terms = [
        root.reshape(()) if weight is None else (root * weight).sum()
        for root, weight in zip(roots, given, strict=True)
    ]
    return terms[0] if len(terms) == 1 else torch.stack(terms).sum()


class _Pausing:
    """A hook of an optimizer that switches the interception off or on."""

    def __init__(self, mode: Interception, *, paused: bool) -> None:
        self._mode, self._paused = mode, paused

    def __call__(self, *_args: Any) -> None:
        self._mode.is_paused = self._paused
