"""The gradient penalty holds a critic's slope near one between real and generated samples.

## Formula
    weight * mean over samples of (|d critic(x) / d x| - target)^2, at
    x = real + t * (fake - real), one t from U(0, 1) per sample; one-sided: only slopes above

## Shape
    real and fake [batch, ...] alike; the critic gives [batch] or [batch, ...], whose parts are
    summed per sample. The result is one number.

## Dtype
    The critic runs outside autocast, in the dtype of `real`; the norms are taken in at least
    float32. Slopes are far smaller than activations and would vanish in float16.

## Cost
    One forward of the critic and two backwards, the second through the first: about three times
    a critic's step without it. torch.compile does not trace it (autograd within the function).

## Source
    Gulrajani et al. 2017, "Improved Training of Wasserstein GANs", algorithm 1: weight 10,
    target 1, two-sided, no batch normalisation in the critic. sqrt has an infinite slope at zero:
    written as a root of a sum of squares, a critic that is flat somewhere turns to NaN.

## Helps against
    `gan-discriminator-dominates`, `sqrt-zero-grad` and `shape-broadcast`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from steadytrain.blocks._float32 import at_least_float32, outside_autocast
from steadytrain.core.errors import UsageError
from steadytrain.core.technique import Sample, technique


def gradient_penalty(
    critic: Callable[..., Tensor],
    real: Tensor,
    fake: Tensor,
    *conditions: Any,
    weight: float = 10.0,
    target: float = 1.0,
    one_sided: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The penalty to add to the critic's loss; its gradient is finite where the slope is zero.

    It reaches the critic's parameters only, never the generator. The same `conditions` must
    belong to the real and the generated sample of one row.

    Args:
        critic: called as `critic(x, *conditions)`.
        real: samples of the data.
        fake: generated samples, as many.
        *conditions: labels and the like, passed on as they are.
        weight: of the penalty in the loss.
        target: the slope to hold; 0 to flatten.
        one_sided: penalise slopes above the target only.
        generator: where the mixing shares are drawn from, if not torch's own.

    Raises:
        UsageError: shapes differ, the critic mixes samples by batch normalisation or gives no
            score per sample, or weight or target is negative or not finite.

    Shape:
        real, fake [batch, ...] -> [].

    Example:
        >>> flat = torch.nn.Linear(3, 1)
        >>> _ = torch.nn.init.zeros_(flat.weight)
        >>> penalty = gradient_penalty(flat, torch.randn(8, 3), torch.randn(8, 3))
        >>> penalty.backward()
        >>> penalty.item(), flat.weight.grad.isfinite().all().item()
        (10.0, True)
    """
    _check(critic, real, fake, weight, target)
    keep_graph = torch.is_grad_enabled()
    with torch.enable_grad(), outside_autocast(real.device):
        mixed = _mixed(real.detach(), fake.detach(), generator).requires_grad_()
        scores = critic(mixed, *conditions)
        if scores.shape[:1] != real.shape[:1]:
            msg = f"the critic must give a score per sample, [{real.shape[0]}, ...]"
            raise UsageError(f"{msg}, got {list(scores.shape)}: leave its mean to the loss.")
        (slopes,) = torch.autograd.grad(scores.sum(), mixed, create_graph=keep_graph)
    excess = _norms(slopes) - target
    if one_sided:
        excess = excess.clamp_min(0.0)
    return weight * (excess.square().sum() / max(real.shape[0], 1))


def _mixed(real: Tensor, fake: Tensor, generator: torch.Generator | None) -> Tensor:
    """Between the two, by one share per sample, whatever the dimensions of a sample."""
    shape = (real.shape[0], *(1,) * (real.dim() - 1))
    shares = torch.rand(shape, generator=generator, dtype=real.dtype, device=real.device)
    return real + shares * (fake.to(real.dtype) - real)


def _norms(slopes: Tensor) -> Tensor:
    """The norm per sample, whose own slope at zero is zero, to any order of derivative."""
    wide = slopes.reshape(slopes.shape[0], -1).to(at_least_float32(slopes.dtype))
    squares = wide.square().sum(dim=1)
    is_zero = squares == 0
    return torch.where(is_zero, 0.0, torch.where(is_zero, 1.0, squares).sqrt())


def _check(
    critic: Callable[..., Tensor], real: Tensor, fake: Tensor, weight: float, target: float
) -> None:
    if real.shape != fake.shape or not real.dim():
        msg = "real and fake samples must have one shape, [batch, ...]"
        msg = f"{msg}, got {list(real.shape)} and {list(fake.shape)}"
        raise UsageError(f"{msg}: generate as many samples as the batch has.")
    if not real.is_floating_point():
        raise UsageError(f"samples must be floating, got {real.dtype}: scale images to [-1, 1].")
    for name, number in (("weight", weight), ("target", target)):
        if not 0.0 <= number < math.inf:
            msg = f"{name} must be finite and not negative, got {number}"
            raise UsageError(f"{msg}. The paper has weight 10, target 1.")
    for path, module in critic.named_modules() if isinstance(critic, nn.Module) else ():
        if isinstance(module, _BatchNorm) and module.training:
            msg = f"{path or 'the critic'} is {type(module).__name__} in training mode, which"
            msg = f"{msg} mixes samples, so there is no slope per sample"
            raise UsageError(f"{msg}: use LayerNorm, GroupNorm or InstanceNorm in a critic.")


class _PenalizedCritic(nn.Module):
    """A critic that returns its penalty, for the sample below."""

    def __init__(self) -> None:
        super().__init__()
        self.critic = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))

    def forward(self, real: Tensor, fake: Tensor) -> Tensor:
        fixed = torch.Generator().manual_seed(0)
        return gradient_penalty(self.critic, real, fake, generator=fixed)


TECHNIQUE = technique(
    __name__,
    __doc__,
    exports=("gradient_penalty",),
    samples=(
        Sample(
            build=_PenalizedCritic,
            inputs=lambda: (torch.randn(4, 3), torch.randn(4, 3)),
            compiles=False,
            double_backward=True,
        ),
    ),
)
