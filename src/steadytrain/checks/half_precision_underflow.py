"""Gradients fall below the smallest float16 number on their way and become zero.

## What it does
Computes the gradients of the first batch twice from one graph: with the loss as the program scales
it, and with a loss 65,536 times larger, divided by it afterwards.

## Why it matters
Without rounding both are the same. What is lost below 6e-8 in float16 is lost for good: layers far
from the loss stop learning, with nothing to be seen in the loss.

## Passes when
Both gradients agree, or nothing has float16 in it.

## Fails when
The gradient with the small loss has less than half of the norm of the other, or has lost more than
half of its elements to zero.

## What to do
A loss scaler (`torch.amp.GradScaler`), a larger initial scale, or bfloat16.

## Source
Micikevicius et al. 2018, section 3.2: gradients of a detection network below 2^-24.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.checks._sweep import sweep_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, not_applicable, passed

_LARGER = (2.0**16, 2.0**12, 2.0**8)
"""Factors of the second loss, the largest that does not overflow is taken."""


@check(code="PRE250", causes=("fp16-underflow",), stage="precision")
@dataclass(frozen=True, slots=True, kw_only=True)
class HalfPrecisionUnderflow:
    """Options of the check."""

    max_lost: float = 0.5
    """Share of the gradient's norm, or of its elements, that may be lost."""

    def judge(self, scene: Scene, /) -> Answer:
        if not scene.once(sweep_of).halves:
            return not_applicable(self, "nothing is computed in float16")
        lost = max(_lost(scene))
        seen = f"{number(lost)} of the gradient is lost below 6e-8"
        if not lost > self.max_lost:
            return passed(self, seen, lost)
        return failed(
            self,
            seen,
            lost,
            findings=[
                finding(
                    self,
                    f"{lost:.0%} of the gradient becomes zero on its way through float16; with a "
                    "larger loss it is there. Use a loss scaler, a larger initial scale, or bfloat16.",
                    evidence={"lost_fraction": lost},
                )
            ],
        )


def _lost(scene: Scene) -> tuple[float, float]:
    """What is missing of the gradient's norm, and which share of its elements became zero."""
    with scene.trial() as trial:
        loss = trial.loss(scene.batch())
        wanted = [p for p in trial.model.parameters() if p.requires_grad]
        if not loss.requires_grad or not wanted:
            raise Unseen("the loss needs no gradient")
        small = _gradients(loss, wanted, trial.loss_scale)
        for factor in _LARGER:
            large = _gradients(loss, wanted, trial.loss_scale * factor)
            if all(bool(torch.isfinite(one).all()) for one in large if one is not None):
                return _compared(small, large)
    raise Unseen("a larger loss overflows")


def _gradients(loss: Tensor, wanted: Sequence[Tensor], scale: float) -> list[Tensor | None]:
    given = torch.autograd.grad(loss * scale, wanted, retain_graph=True, allow_unused=True)
    return [None if one is None else one.to_dense().double() / scale for one in given]


def _compared(small: list[Tensor | None], large: list[Tensor | None]) -> tuple[float, float]:
    norms = [0.0, 0.0]
    zeros = total = 0
    for one, other in zip(small, large, strict=True):
        if one is None or other is None:
            continue
        norms[0] += float(one.square().sum())
        norms[1] += float(other.square().sum())
        zeros += int(((one == 0) & (other != 0)).sum())
        total += int((other != 0).sum())
    if not norms[1] > 0.0:
        raise Unseen("the gradient is zero")
    return 1.0 - (norms[0] / norms[1]) ** 0.5, zeros / max(1, total)
