"""What a gradient scaler did to the gradients that are at hand. No synchronisation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Scaling:
    """Reads a `torch.amp.GradScaler`, or the scale a fused optimizer is handed during its step.

    Args:
        scaler: the loop's scaler, or None.
    """

    def __init__(self, scaler: Any = None) -> None:
        self._scaler = scaler

    @property
    def known(self) -> bool:
        """Whether a scaler may leave out steps."""
        return self._scaler is not None and bool(self._scaler.is_enabled())

    def scale(self) -> Tensor | None:
        """The current loss scale as a tensor on its device, or None."""
        if not self.known:
            return None
        scale = getattr(self._scaler, "_scale", None)
        return scale.detach().clone() if isinstance(scale, Tensor) else None

    @property
    def attempt(self) -> object:
        """Another object after every `update()` of the scaler; None without one."""
        return getattr(self._scaler, "_per_optimizer_states", None) if self.known else None

    def inverse(self, optimizer: Any) -> Tensor | None:
        """What the optimizer's gradients must be multiplied with to be unscaled; None for 1."""
        handed = getattr(optimizer, "grad_scale", None)
        if isinstance(handed, Tensor):
            return handed.detach().float().reciprocal()
        scale = self.scale()
        if scale is None or self._is_unscaled(optimizer):
            return None
        return scale.float().reciprocal()

    def found_inf(self, optimizer: Any) -> Tensor | None:
        """Whether a fused optimizer was told to leave this step out: 1 or 0, or None."""
        found = getattr(optimizer, "found_inf", None)
        return (found.detach() > 0).float().reshape(()) if isinstance(found, Tensor) else None

    def _is_unscaled(self, optimizer: Any) -> bool:
        states = getattr(self._scaler, "_per_optimizer_states", {})
        stage = states[id(optimizer)].get("stage") if id(optimizer) in states else None
        return stage is not None and getattr(stage, "name", "") != "READY"


def unscaled(norms: Tensor, inverse: Tensor | None) -> Tensor:
    """Norms of scaled gradients as those of the unscaled ones."""
    return norms if inverse is None else norms * inverse.to(norms.device, torch.float32)
