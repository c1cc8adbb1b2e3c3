"""Mixed precision through `torch.amp`: where to autocast, and a loss scale that has a floor."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Final

import torch

from steadytrain.core.program import Precision

MIN_SCALE: Final = 2.0**-5
"""Floor of the loss scale, as in metaseq. `GradScaler` has none: after 200 bad steps in a row its
scale is zero, and the next clean step, divided by it, writes NaN into the weights."""

_DTYPES: Final[dict[Precision, torch.dtype]] = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The context of one forward pass: autocast on `device`, or nothing for fp32."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=_DTYPES[precision])


class LossScale:
    """Scales the loss, and steps the optimizer only where the gradients are finite.

    Args:
        scaler: None makes every method the plain, unscaled operation.
        min_scale: the scale never stays below it.

    Cost: one synchronisation per step with a scaler (reading the scale), beside the scaler's own.
    """

    def __init__(self, scaler: torch.amp.GradScaler | None, min_scale: float = MIN_SCALE) -> None:
        self.scaler = scaler
        self.min_scale = min_scale

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
        return not after < before


def scaler_for(precision: Precision, device: torch.device) -> torch.amp.GradScaler | None:
    """A new loss scaler where the precision needs one: fp16 alone underflows without it."""
    return torch.amp.GradScaler(device.type) if precision == "fp16" else None
