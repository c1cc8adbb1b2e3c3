"""Regression targets, returns or rewards have an extreme scale.

## What it does
Measures the targets of every squared, absolute and Huber loss of the first step, and what the model
puts out for them.

## Why it matters
The output layer begins at about unit scale. Targets in thousands make the first gradients thousands
of times too large, targets in millionths make the loss look solved; returns in the unit of the game
multiply the policy's steps as well.

## Passes when
The targets' root mean square lies between 1e-4 and 100, or the outputs have the same scale already.

## Fails when
It lies outside, and the outputs' differs from it by ten times or more.

## What to do
Standardise the targets and undo it after predicting; scale or clip rewards and normalise advantages.

## Source
Henderson et al. 2018 (Deep reinforcement learning that matters), section 5.3; van Hasselt et al.
2016 (Pop-Art) on the scale of targets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from steadytrain.checks._data import data_of
from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, not_applicable, passed

_DISTANCES = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


@check(code="DAT259", causes=("target-not-normalized", "reward-scale"), stage="data")
@dataclass(frozen=True, slots=True, kw_only=True)
class TargetScale:
    """Options of the check."""

    min_rms: float = 1e-4
    """Root mean square of the targets below which they are next to nothing."""
    max_rms: float = 100.0
    """Above which they are far from what an output layer begins with."""
    max_ratio: float = 10.0
    """Of targets and outputs, or its inverse, up to which an extreme scale is no harm."""

    def judge(self, scene: Scene, /) -> Answer:
        pairs = list(_pairs(scene))
        if not pairs:
            return not_applicable(self, "no squared, absolute or Huber loss with targets")
        target, output = max(pairs, key=lambda pair: abs(math.log(pair[0])))
        seen = f"targets of root mean square {number(target)}, outputs of {number(output)}"
        inside = self.min_rms <= target <= self.max_rms
        near = 1 / self.max_ratio < target / max(output, 1e-300) < self.max_ratio
        if inside or near:
            return passed(self, seen, target)
        causes = ("target-not-normalized", "reward-scale")
        return failed(
            self,
            seen,
            target,
            findings=[
                finding(
                    self,
                    f"The targets have a root mean square of {number(target)} and the outputs of "
                    f"{number(output)}, expected about 1 for both. Standardise the targets, or scale "
                    "the rewards.",
                    causes=causes if _is_data(scene) else causes[::-1],
                    evidence={"target_rms": target, "output_rms": output},
                )
            ],
        )


def _pairs(scene: Scene) -> Iterator[tuple[float, float]]:
    """Root mean squares of targets and of outputs, for losses that the gradient passes."""
    for call in scene.first.called(*_DISTANCES):
        target, output = call["target"], call["input"]
        if isinstance(target, Tensor) and isinstance(output, Tensor) and call.input_needs_grad:
            size = _rms(target)
            if 0.0 < size < math.inf:
                yield size, _rms(output)


def _rms(values: Tensor) -> float:
    return float(values.detach().double().square().mean().sqrt())


def _is_data(scene: Scene) -> bool:
    """Whether the targets are read from the batch, and not computed from rewards."""
    try:
        return bool(scene.once(data_of).targets)
    except Unseen:
        return False
