"""Forward passes over many batches: what breaks later than on the first one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import tensors_in
from steadytrain.checks._trial import Trial
from steadytrain.core.check import Unseen
from steadytrain.optim.precision import autocast
from steadytrain.training.stepping import scalar

MOST: Final = 64
"""Batches that are looked at."""

SECONDS: Final = 3.0
"""Time after which no further batch is begun."""

QUICK_SECONDS: Final = 0.7
"""The same for a quick look."""

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
    losses: list[float] = field(default_factory=list[float])


def sweep_of(scene: Scene) -> Sweep:
    """Forward passes of a copy over the first batches, without gradients.

    Raises:
        Unseen: the program has no `loss_fn`, or it raised on the first batch.
    """
    sweep = Sweep()
    with scene.trial() as trial:
        if trial.program.loss_fn is None:
            raise Unseen("the program has its own step_fn and no loss_fn")
        begin, seconds = time.perf_counter(), QUICK_SECONDS if scene.quick else SECONDS
        with _Watching(trial, sweep) as watching:
            for place, batch in enumerate(scene.batches(MOST)):
                if place and time.perf_counter() - begin > seconds:
                    break
                watching.batch = place
                try:
                    sweep.losses.append(watching.loss(batch))
                except Exception as error:  # the user's loss may raise anything
                    if not place:
                        msg = f"the loss raised {type(error).__name__}: {error}"
                        raise Unseen(msg) from error
                    break
                sweep.num_batches = place + 1
    return sweep


class _Watching(TorchFunctionMode):
    """Sees every function and every module's output inside the block."""

    def __init__(self, trial: Trial, sweep: Sweep) -> None:
        super().__init__()
        self.batch = 0
        self._trial, self._sweep = trial, sweep
        self._running: list[str] = []
        self._hooks = ExitStack()

    def __enter__(self) -> Any:
        for path, module in self._trial.model.named_modules():
            enter, leave = self._hooks_of(path)
            self._hooks.callback(module.register_forward_pre_hook(enter, with_kwargs=True).remove)
            self._hooks.callback(module.register_forward_hook(leave, with_kwargs=True).remove)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        self._hooks.close()
        super().__exit__(*error)

    def loss(self, batch: Any) -> float:
        """The loss of the batch, as the program computes it."""
        self._running.clear()
        with torch.no_grad():
            return _value(self._trial, batch)

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in _SOFTMAX and args:
            self._look_at_rows(args, kwargs or {})
        if func is functional.scaled_dot_product_attention:
            self._look_at_mask(args, kwargs or {})
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
        if not _all_finite(result) and _all_finite(args):
            half = isinstance(result, Tensor) and result.dtype == torch.float16
            self._sweep.operation = (self.batch, "half" if half else name)

    def _where(self) -> str:
        return self._running[-1] if self._running else ""

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
            if (
                self._sweep.broken is None
                and not _all_finite(output)
                and _all_finite((args, kwargs))
            ):
                self._sweep.broken = (self.batch, path)

        return enter, leave


def _all_finite(value: Any) -> bool:
    floats = [one for one in tensors_in(value) if one.is_floating_point()]
    return all(bool(torch.isfinite(one).all()) for one in floats)


def _value(trial: Trial, batch: Any) -> float:
    program = trial.program
    assert program.loss_fn is not None
    device = next(iter(program.model.parameters())).device
    with autocast(program.precision, device):
        return float(scalar(program.loss_fn(program.model, batch)))
