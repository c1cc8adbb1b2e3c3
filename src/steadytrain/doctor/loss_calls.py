"""Which losses of `torch.nn.functional` a program calls, with what."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch.overrides import TorchFunctionMode

from steadytrain.doctor.scene import LossCall

_OTHERS: Final = ("cross_entropy", "binary_cross_entropy", "binary_cross_entropy_with_logits")


class LossCalls(TorchFunctionMode):
    """Inside the block every outermost call of a loss function is noted in `calls`."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[LossCall] = []
        self._is_inside = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if self._is_inside or not _is_loss(func):
            return func(*args, **named)
        self._note(func, args, named)
        self._is_inside = True  # cross_entropy may call nll_loss: one loss, not two
        try:
            return func(*args, **named)
        finally:
            self._is_inside = False

    def _note(self, func: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> None:
        try:
            bound = inspect.signature(func).bind(*args, **named).arguments
        except (TypeError, ValueError):  # a function of C says nothing of its arguments
            return
        given = {name: _detached(value) for name, value in bound.items()}
        first, second, *_ = [*given.values(), None, None]
        if isinstance(first, torch.Tensor):
            target = second if isinstance(second, torch.Tensor) else None
            others = dict(list(given.items())[2:])
            self.calls.append(
                LossCall(name=func.__name__, input=first, target=target, arguments=others)
            )


def _is_loss(func: Callable[..., Any]) -> bool:
    name = getattr(func, "__name__", "")
    is_functional = getattr(func, "__module__", "") in ("torch.nn.functional", "torch.functional")
    return is_functional and (name.endswith("_loss") or name in (*_OTHERS, "kl_div"))


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, torch.Tensor) else value
