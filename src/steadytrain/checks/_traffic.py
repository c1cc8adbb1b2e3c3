"""Follows every gradient from backward to the optimizer: brought, added to, used, thrown away."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook


@dataclass(slots=True, kw_only=True)
class Path:
    """One parameter's gradients over a few steps."""

    name: str
    parameter: Tensor
    num_arrived: int = 0
    """Backward passes that reached it, be it with zeros."""
    num_brought: int = 0
    """Backward passes that brought a finite gradient other than zero."""
    num_nonfinite: int = 0
    """Backward passes that brought NaN or infinity."""
    num_used: int = 0
    """Optimizer steps that found a gradient."""
    num_stale: int = 0
    """Optimizer steps whose gradient still held what an earlier step had used."""
    num_found_empty: int = 0
    """Optimizer steps that found none although backward had brought one since the last."""
    num_thrown_away: int = 0
    """Gradients cleared before any optimizer had used them."""
    norm: float = 0.0
    """Of the gradient after the last backward."""
    used_norm: float = 0.0
    """Of the gradient that the last optimizer step found."""
    num_since_use: int = 0
    """Backward passes since an optimizer last stepped."""
    is_waiting: bool = False
    """Brought, and not yet used."""
    is_spent: bool = False
    """Used, and not brought again since."""
    is_mixed: bool = False
    """What is there now holds parts that were used before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One call of an optimizer's step."""

    call: int
    """Which step of the program it was in."""
    norm: float
    """Of all gradients after backward without the loss scale, as far as this optimizer holds them."""
    used_norm: float
    """Of the same gradients when the optimizer found them."""
    num_backward: int
    """Backward passes since the optimizer's last step."""
    scale: float
    """The loss scale."""
    has_closure: bool
    scale_free: bool
    """Whether the optimizer's steps do not depend on the scale of the gradient."""


class Traffic:
    """Watches the parameters while the block runs; changes nothing.

    Cost: the norm of every gradient at each backward pass and at each optimizer step.
    """

    def __init__(self, named: Iterable[tuple[str, Tensor]]) -> None:
        self.paths: Mapping[int, Path] = {
            id(one): Path(name=name, parameter=one) for name, one in named
        }
        self.updates: list[Update] = []
        self.num_foreign = 0
        """Steps of optimizers that hold none of the watched parameters."""
        self.call = 0
        self.scale = 1.0
        """What the loss is multiplied with in this step."""
        self._hooked: set[int] = set()
        self._stack = ExitStack()

    @contextmanager
    def __call__(self) -> Iterator[Traffic]:
        """Watches inside the block."""
        with self._stack:
            self._stack.callback(register_optimizer_step_pre_hook(self._before_update).remove)
            yield self

    def begin(self, call: int, scale: float = 1.0) -> None:
        """A step of the program begins; parameters that were thawed since are watched too."""
        self.call, self.scale = call, scale
        for key, path in self.paths.items():
            if key not in self._hooked and path.parameter.requires_grad:
                self._hooked.add(key)
                self._watch(path)

    def _watch(self, path: Path) -> None:
        parameter = path.parameter
        before = parameter.register_hook(lambda gradient: self._arrives(path, gradient))
        after = parameter.register_post_accumulate_grad_hook(lambda _: self._arrived(path))
        self._stack.callback(before.remove)
        self._stack.callback(after.remove)

    def _arrives(self, path: Path, gradient: Tensor) -> None:
        path.num_arrived += 1
        path.num_since_use += 1
        size = norm_of(gradient)
        there = norm_of(path.parameter.grad)
        if there == 0.0:
            path.num_thrown_away += path.is_waiting
            path.is_mixed = False
        elif path.is_spent:
            path.is_mixed = True
        path.is_waiting, path.is_spent = False, False
        path.num_nonfinite += not math.isfinite(size)
        if math.isfinite(size) and size > 0.0:
            path.num_brought += 1
            path.is_waiting = True

    def _arrived(self, path: Path) -> None:
        path.norm = norm_of(path.parameter.grad)

    def _before_update(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        closure = any(callable(one) for one in (*args[1:], *dict(kwargs).values()))
        held = (p for group in optimizer.param_groups for p in group["params"])
        mine = [self.paths[id(p)] for p in held if id(p) in self.paths]
        self.num_foreign += not mine
        num_backward = max((path.num_since_use for path in mine), default=0)
        for path in () if closure else mine:
            _use(path)
        used = [path for path in mine if path.used_norm > 0.0]
        self.updates.append(
            Update(
                call=self.call,
                norm=math.hypot(*(path.norm for path in used)) / self.scale,
                used_norm=math.hypot(*(path.used_norm for path in used)),
                num_backward=num_backward,
                scale=self.scale,
                has_closure=closure,
                scale_free=is_scale_free(optimizer),
            )
        )


def _use(path: Path) -> None:
    path.used_norm = norm_of(path.parameter.grad)
    if path.used_norm == 0.0:
        path.num_found_empty += path.is_waiting
    else:
        path.num_used += 1
        path.num_stale += path.is_mixed
        path.is_spent = True
    path.is_waiting, path.num_since_use = False, 0


def norm_of(gradient: Tensor | None) -> float:
    """The L2 norm of a gradient in float32 at least; 0 without one."""
    if gradient is None:
        return 0.0
    values = gradient.detach()
    if values.is_sparse:
        values = values.coalesce().values()
    values = values if values.is_complex() or values.dtype == torch.float64 else values.float()
    return float(torch.linalg.vector_norm(values))


def is_scale_free(optimizer: Any) -> bool:
    """Whether it divides by the gradient's own size, as Adam does, or takes its sign."""
    return any("eps" in group or "betas" in group for group in optimizer.param_groups)
