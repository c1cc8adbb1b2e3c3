"""Adaptive clips as their authors published them: what this package's own are held against.

Written from the papers' formulas, and held by test against the authors' code where it installs.
Each is a callable that changes the gradients of the parameters it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

EPS: Final = 1e-6


def gradients_of(parameters: Sequence[Tensor]) -> list[Tensor]:
    """The gradients that are there."""
    return [one.grad for one in parameters if one.grad is not None]


class ZClip:
    """Clips by the z-score of the norm against running moments of the *clipped* norms.

    Formula: z = (n - m) / (s + 1e-6); where z > z_threshold, n* = m + z_threshold² s / z, else
    n* = n; m <- alpha m + (1 - alpha) n*, s² likewise. The first `warmup_steps` norms set m and s.
    Source: Kumar et al. 2025 (ZClip), section 3, with their 0.97, 2.5, 25 and a cap of 1.
    """

    def __init__(
        self,
        alpha: float = 0.97,
        z_threshold: float = 2.5,
        warmup_steps: int = 25,
        max_norm: float | None = 1.0,
    ) -> None:
        self._alpha, self._z_threshold = alpha, z_threshold
        self._warmup_steps, self._cap = warmup_steps, max_norm
        self._first: list[float] = []
        self._mean = self._var = 0.0

    def __call__(self, parameters: Sequence[Tensor]) -> None:
        grads = gradients_of(parameters)
        norm = float(torch.stack([grad.square().sum() for grad in grads]).sum().sqrt())
        target = self._target(norm)
        limit = target if self._cap is None else min(target, self._cap)
        if norm > limit:
            for grad in grads:
                grad.mul_(limit / (norm + EPS))

    def _target(self, norm: float) -> float:
        """The norm that the statistics allow, and have taken in."""
        if len(self._first) < self._warmup_steps:
            self._first.append(norm)
            if len(self._first) == self._warmup_steps:
                self._mean = sum(self._first) / self._warmup_steps
                self._var = sum((one - self._mean) ** 2 for one in self._first) / self._warmup_steps
            return norm
        deviation = self._var**0.5
        z = (norm - self._mean) / (deviation + EPS)
        if z > self._z_threshold:
            norm = self._mean + self._z_threshold**2 * deviation / z
        self._mean = self._alpha * self._mean + (1 - self._alpha) * norm
        self._var = self._alpha * self._var + (1 - self._alpha) * (norm - self._mean) ** 2
        return norm


class AdaGC:
    """Clips each tensor against a running mean of its own *clipped* norms.

    Formula: for the first `warmup_steps` steps a global clip at `absolute`, and gamma = the
    smallest norm a tensor had after it; then g <- g * min(1, relative * gamma / ‖g‖) and
    gamma <- beta gamma + (1 - beta) ‖g‖.
    Source: Wang et al. 2025 (AdaGC), algorithm 1, with their 1.05, 1.0, 0.98 and 100.
    """

    def __init__(
        self,
        relative: float = 1.05,
        absolute: float = 1.0,
        beta: float = 0.98,
        warmup_steps: int = 100,
    ) -> None:
        self._relative, self._absolute, self._beta = relative, absolute, beta
        self._warmup_steps = warmup_steps
        self._gamma: dict[int, Tensor] = {}
        self._step = 0

    def __call__(self, parameters: Sequence[Tensor]) -> None:
        self._step += 1
        grads = gradients_of(parameters)
        if self._step < self._warmup_steps:
            total = torch.stack([grad.norm() for grad in grads]).norm() + 1e-8
            for place, grad in enumerate(grads):
                norm = grad.mul_((self._absolute / total).clamp(max=1.0)).norm()
                self._gamma[place] = torch.minimum(self._gamma.get(place, norm), norm)
            return
        for place, grad in enumerate(grads):
            factor = (self._relative * self._gamma[place] / grad.norm()).clamp(max=1.0)
            norm = grad.mul_(factor).norm()
            self._gamma[place] = self._beta * self._gamma[place] + (1 - self._beta) * norm


class FloorlessAGC:
    """Unit-wise clipping without the paper's floor: a unit of zero weights never moves.

    Formula: g_i <- g_i * min(1, clip_factor ‖w_i‖ / ‖g_i‖), 0 / 0 taken as 1.
    Source: MosaicML composer, `GradientClipping(clipping_type="adaptive")`.
    """

    def __init__(self, clip_factor: float = 0.01) -> None:
        self._clip_factor = clip_factor

    @torch.no_grad()
    def __call__(self, parameters: Sequence[Tensor]) -> None:
        for one in parameters:
            if one.grad is None:
                continue
            axes = tuple(range(1, one.dim())) if one.dim() > 1 else (0,)
            limit = self._clip_factor * torch.linalg.vector_norm(one, dim=axes, keepdim=True)
            ratio = limit / torch.linalg.vector_norm(one.grad, dim=axes, keepdim=True)
            one.grad.mul_(ratio.nan_to_num(nan=1.0).clamp(max=1.0))
