"""Watches the functions and modules of a forward pass for what goes wrong, and where first."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from steadytrain.checks._ctc import ctc_lacks
from steadytrain.checks._seen import peak_of, tensors_in

_SOFTMAX: Final = frozenset(
    getattr(home, name)
    for home in (functional, torch, Tensor)
    for name in ("softmax", "log_softmax")
    if hasattr(home, name)
)

_NAMES: Final = {
    "exp": ("exp", "expm1", "exp2", "sinh", "cosh"),
    "log": ("log", "log2", "log10", "log1p"),
    "div": ("div", "true_divide", "__truediv__", "__rtruediv__", "reciprocal", "__rdiv__"),
    "sqrt": ("sqrt", "rsqrt"),
    "product": (
        "square",
        "mul",
        "__mul__",
        "pow",
        "__pow__",
        "matmul",
        "mm",
        "bmm",
        "sum",
        "linear",
    ),
}
_RISKY: Final[dict[Any, str]] = {
    getattr(home, name): kind
    for kind, names in _NAMES.items()
    for name in names
    for home in (torch, Tensor, functional)
    if hasattr(home, name)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyRows:
    """Rows of a softmax in which nothing is left."""

    batch: int
    path: str
    num_rows: int


@dataclass(slots=True, kw_only=True)
class Sweep:
    """What was seen over the batches."""

    num_batches: int = 0
    num_softmaxes: int = 0
    empty: list[EmptyRows] = field(default_factory=list[EmptyRows])
    broken: tuple[int, str] | None = None
    """The batch, and the first module whose output was not finite while its inputs were."""
    largest_half: float = 0.0
    """Of all float16 values."""
    halves: set[str] = field(default_factory=set[str])
    """Modules in which float16 was computed with."""
    operation: tuple[int, str] | None = None
    """The batch, and the first operation whose result was not finite while its arguments were;
    `half` where it was one of float16."""
    roots: list[int] = field(default_factory=list[int])
    """Batches in which a root was taken of a number that is exactly zero: its slope is infinite."""
    lacks: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """For every CTC target the batch, and the steps that its input has too few; 0 or less: it fits."""
    losses: list[float] = field(default_factory=list[float])


class Watching(TorchFunctionMode):
    """Sees every function and every module's output inside the block."""

    def __init__(self, model: nn.Module, seen: Sweep) -> None:
        super().__init__()
        self.batch = 0
        """Which batch is looked at, from 0."""
        self._model, self._sweep = model, seen
        self._running: list[str] = []
        self._hooks = ExitStack()

    def __enter__(self) -> Any:
        for path, module in self._model.named_modules():
            enter, leave = self._hooks_of(path)
            self._hooks.callback(module.register_forward_pre_hook(enter, with_kwargs=True).remove)
            self._hooks.callback(module.register_forward_hook(leave, with_kwargs=True).remove)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        self._hooks.close()
        super().__exit__(*error)

    def begin(self, batch: int) -> None:
        """What follows is that batch's, and outside of all modules."""
        self.batch = batch
        self._running.clear()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in _SOFTMAX and args:
            self._look_at_rows(args, kwargs or {})
        if func is functional.ctc_loss:
            self._sweep.lacks += [(self.batch, lack) for lack in ctc_lacks(*args, **(kwargs or {}))]
        if func is functional.scaled_dot_product_attention:
            self._look_at_mask(args, kwargs or {})
        if _RISKY.get(func) == "sqrt" and args:
            self._look_for_zero(args[0])
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.dtype == torch.float16 and result.numel():
            self._sweep.halves.add(self._where())
            largest = float(result.detach().abs().max())
            self._sweep.largest_half = max(
                self._sweep.largest_half, largest if math.isfinite(largest) else math.inf
            )
        if self._sweep.operation is None and func in _RISKY:
            self._look_at_result(_RISKY[func], args, result)
        return result

    def _look_at_result(self, name: str, args: Any, result: Any) -> None:
        if not all_finite(result) and all_finite(args):
            half = isinstance(result, Tensor) and result.dtype == torch.float16
            self._sweep.operation = (self.batch, "half" if half else name)

    def _where(self) -> str:
        return self._running[-1] if self._running else ""

    def _look_for_zero(self, value: Any) -> None:
        seen = self._sweep.roots[-1:] == [self.batch]
        if not seen and isinstance(value, Tensor) and value.numel() and bool((value == 0).any()):
            self._sweep.roots.append(self.batch)

    def _look_at_rows(self, args: Any, kwargs: Mapping[str, Any]) -> None:
        values = args[0]
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        if not isinstance(values, Tensor) or not isinstance(dim, int) or not values.dim():
            return
        self._sweep.num_softmaxes += 1
        self._note_empty((values == -torch.inf).all(dim=dim))

    def _look_at_mask(self, args: Any, kwargs: Mapping[str, Any]) -> None:
        mask = kwargs.get("attn_mask", args[3] if len(args) > 3 else None)
        self._sweep.num_softmaxes += 1
        if isinstance(mask, Tensor) and mask.dim():
            hidden = ~mask if mask.dtype == torch.bool else mask == -torch.inf
            self._note_empty(hidden.all(dim=-1))

    def _note_empty(self, rows: Tensor) -> None:
        count = int(rows.sum())
        if count:
            one = EmptyRows(batch=self.batch, path=self._where(), num_rows=count)
            self._sweep.empty.append(one)

    def _hooks_of(self, path: str) -> tuple[Callable[..., None], Callable[..., None]]:
        def enter(_module: nn.Module, _args: Any, _kwargs: Any) -> None:
            self._running.append(path)

        def leave(_module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            if self._running:
                self._running.pop()
            if self._sweep.broken is None and not all_finite(output) and all_finite((args, kwargs)):
                self._sweep.broken = (self.batch, path)

        return enter, leave


def all_finite(value: Any) -> bool:
    """Whether every floating point tensor in it is finite throughout."""
    floats = (one for one in tensors_in(value) if one.is_floating_point())
    return all(math.isfinite(peak_of(one.detach())) for one in floats)
