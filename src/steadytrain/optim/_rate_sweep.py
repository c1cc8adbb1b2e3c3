"""Optimizer steps at rates that somebody else chooses, with all that a program's steps have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from steadytrain.core.errors import UsageError
from steadytrain.core.program import Program
from steadytrain.optim.accumulation import Window
from steadytrain.optim.precision import LossScale, autocast, scaler_for


class RateSweep:
    """Trains `program`, which is changed, one step at a time at a given rate.

    The groups keep the proportions of their base rates: the rate is that of the highest.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._device = next(iter(program.model.parameters())).device
        scaler = program.scaler or scaler_for(program.precision, self._device)
        self._scale = LossScale(scaler, on_floor=lambda _: None)
        self._groups: list[dict[str, Any]] = program.optimizer.param_groups
        base = [float(group.get("initial_lr", group["lr"])) for group in self._groups]
        highest = max(base)
        self._shares = [rate / highest if highest else 1.0 for rate in base]
        self._held = list({id(p): p for g in self._groups for p in g["params"]}.values())
        self._batches = _endless(program.batches)
        self._zero_grad()

    def step(self, lr: float) -> float:
        """The mean loss of the step's microbatches, before the step."""
        program = self._program
        self._set_rates(lr)
        window = Window(program.accumulate)
        for _ in range(program.accumulate):
            batch = next(self._batches)
            with autocast(program.precision, self._device):
                loss = program.loss_fn(program.model, batch) if program.loss_fn else None
            window.add(_differentiable(loss), self._scale.scale)
        self._scale.unscale(program.optimizer)
        if program.clip is not None:
            torch.nn.utils.clip_grad_norm_(self._held, program.clip)
        self._scale.step(program.optimizer)
        self._zero_grad()
        return float(window.loss)

    def _set_rates(self, lr: float) -> None:
        for group, share in zip(self._groups, self._shares, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr * share)
            else:
                group["lr"] = lr * share

    def _zero_grad(self) -> None:
        self._program.optimizer.zero_grad(set_to_none=True)
        self._program.model.zero_grad(set_to_none=True)


def _endless(batches: Iterable[Any]) -> Iterator[Any]:
    """Pass after pass over the batches."""
    while True:
        num_read = 0
        for batch in batches:
            num_read += 1
            yield batch
        if not num_read:
            msg = "lr_range_test(batches): a whole pass gave no batch, expected at least one"
            raise UsageError(f"{msg}: pass something that can be read again and is not empty.")


def _differentiable(loss: object) -> Tensor:
    if isinstance(loss, Tensor) and loss.numel() == 1 and loss.requires_grad:
        return loss
    shown = type(loss).__name__
    if isinstance(loss, Tensor):
        shown = f"a Tensor of shape {list(loss.shape)}, requires_grad={loss.requires_grad}"
    msg = f"lr_range_test(loss_fn) returned {shown}, expected a scalar that can be differentiated"
    raise UsageError(f"{msg}: return the loss itself, without .item() or .detach().")
