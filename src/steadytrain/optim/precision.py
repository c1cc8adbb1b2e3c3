"""Mixed precision through `torch.amp`: where to autocast, and a loss scale that has a floor.

`GradScaler` has no floor: after 200 bad steps in a row its scale is zero, and the next clean
step, divided by it, writes NaN into the weights. Autocast on a device without the precision
switches itself off; here that is an error. Unscale, then clip, always in this order.

## Formula

fp16: backward of S * loss; gradients / S; the step only where they are finite. S is halved at
a skipped step, doubled after 2,000 good ones, and never below `min_scale`. bf16 needs no S.

## Shape

Any.

## Dtype

fp16 holds 6e-8 to 65,504, bf16 the range of float32 with 8 bits of precision. Weights stay
float32; what must not be rounded goes through `in_float32`.

## Cost

One synchronisation per step with a scaler (reading the scale), beside the scaler's own.

## Source

Micikevicius et al. 2018 (Mixed Precision Training), section 3.2; the floor of 2^-5: metaseq (Zhang
et al. 2022, OPT).

## Helps against

`fp16-underflow`, `fp16-overflow`, `loss-scale-collapse`, `unscale-order`
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import torch

from steadytrain.core.errors import UsageError
from steadytrain.core.program import Precision
from steadytrain.core.technique import technique

MIN_SCALE: Final = 2.0**-5
"""Floor of the loss scale."""

_DTYPES: Final[dict[Precision, torch.dtype]] = {"bf16": torch.bfloat16, "fp16": torch.float16}

_FIRST_HALF_ARITHMETIC: Final = (5, 3)
"""The first compute capability with half-precision arithmetic (CUDA programming guide)."""


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The context of one forward pass: autocast on `device`, or nothing for fp32.

    Args:
        precision: `"fp32"`, `"bf16"` or `"fp16"`.
        device: where the model is.

    Example:
        >>> with autocast("bf16", torch.device("cpu")):
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.bfloat16
    """
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=_DTYPES[precision])


def log_floor(message: str) -> None:
    """A log message: unlike a warning turned into an error, it cannot end a training step."""
    logging.getLogger("steadytrain").warning(message)


class LossScale:
    """Scales the loss, and steps the optimizer only where the gradients are finite.

    Args:
        scaler: None makes every method the plain, unscaled operation.
        min_scale: the scale never stays below it.
        on_floor: told what is wrong when a step is skipped at the floor, once until the
            optimizer moves again; by default a warning in the log `steadytrain`.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(1))
        >>> optimizer = torch.optim.SGD([weight], lr=0.5)
        >>> scale = LossScale(torch.amp.GradScaler("cpu"))
        >>> scale.scale((weight * 2).sum()).backward()
        >>> scale.unscale(optimizer)
        >>> scale.step(optimizer), weight.item()
        (True, 0.0)
    """

    def __init__(
        self,
        scaler: torch.amp.GradScaler | None,
        min_scale: float = MIN_SCALE,
        on_floor: Callable[[str], None] = log_floor,
    ) -> None:
        if not 0.0 < min_scale < float("inf"):
            msg = f"min_scale must be a finite number above 0, got {min_scale}"
            raise UsageError(f"{msg}: {MIN_SCALE} is usual.")
        self.scaler = scaler
        self.min_scale = min_scale
        self.num_floor_skips = 0
        """Steps in a row that were skipped at the floor."""
        self._on_floor = on_floor

    def scale(self, loss: torch.Tensor) -> torch.Tensor:
        """The loss to call `backward` on."""
        return loss if self.scaler is None else self.scaler.scale(loss)

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """The optimizer's gradients are the loss's own; clip after this, never before."""
        if self.scaler is not None:
            self.scaler.unscale_(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> bool:
        """The optimizer has stepped, or the scaler has skipped it; returns whether it moved."""
        if self.scaler is None:
            optimizer.step()
            return True
        before = self.scaler.get_scale()
        self.scaler.step(optimizer)
        self.scaler.update()
        after = self.scaler.get_scale()
        if after < self.min_scale:
            self.scaler.update(self.min_scale)
        # torch says whether it skipped in private state only; a lowered scale says the same
        moved = not after < before
        self._note_floor(moved, after)
        return moved

    def _note_floor(self, moved: bool, after: float) -> None:
        if moved:
            self.num_floor_skips = 0
        elif after < self.min_scale:
            self.num_floor_skips += 1
            if self.num_floor_skips == 1:
                self._on_floor(
                    f"the loss scale fell to its floor of {self.min_scale:g} and the step was "
                    "skipped there too: the gradients are not finite at any scale. Look for NaN "
                    "or infinite values in the data and the loss, or train in bf16."
                )


def scaler_for(precision: Precision, device: torch.device) -> torch.amp.GradScaler | None:
    """A new loss scaler where the precision needs one: fp16 alone underflows without it.

    Args:
        precision: `"fp32"`, `"bf16"` or `"fp16"`.
        device: where the model is.

    Raises:
        UsageError: the device does not have the precision.

    Example:
        >>> scaler_for("bf16", torch.device("cpu")) is None
        True
        >>> scaler_for("fp16", torch.device("cpu")).get_scale()
        65536.0
    """
    check_precision(precision, device)
    return torch.amp.GradScaler(device.type) if precision == "fp16" else None


def check_precision(precision: Precision, device: torch.device) -> None:
    """Raise if autocast would switch itself off on `device`, or fail there."""
    if precision == "fp32" or _has(precision, device):
        return
    msg = f"{precision} was asked for on {device}, where torch has no autocast to it"
    raise UsageError(f"{msg}: use fp32, or another device.")


def _has(precision: Precision, device: torch.device) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with autocast(precision, device):
                works = torch.is_autocast_enabled(device.type)
        except RuntimeError:
            return False
    if works and device.type == "cuda" and precision == "fp16":
        return torch.cuda.get_device_capability(device) >= _FIRST_HALF_ARITHMETIC
    return works


TECHNIQUE = technique(__name__, __doc__, exports=("LossScale", "autocast", "scaler_for"))
