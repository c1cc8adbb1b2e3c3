"""The loss is a mean over the batch, or the rate is that of a sum.

## What it does
Compares the loss of the whole first batch with the losses of its halves: of a mean it is their
average, of a sum their sum.

## Why it matters
The gradient of a sum is as many times larger as the batch has samples or tokens. For an optimizer
that follows the gradient's size that is a rate as many times higher, and it changes with the batch.

## Passes when
The loss is a mean; or a sum under an optimizer that divides by the gradient's size, under a clip, or
at a rate that is below 1 times the number of items.

## Fails when
The loss is a sum, plain gradient descent follows it without a clip, and rate times items exceeds 1.

## What to do
`reduction="mean"`, or divide the rate by the number of items in a batch.

## Source
Goyal et al. 2017, section 2: the rate goes with the number of terms. Rates of plain descent on
a mean loss above 1 are beyond those published.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from steadytrain.checks._batches import num_samples, take
from steadytrain.checks._losses import CLASSES, indices, output_of
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, passed

_FOLLOWING = (torch.optim.SGD, torch.optim.ASGD)
"""Optimizers whose step is as large as the gradient."""


@check(code="LOS206", causes=("loss-reduction",), stage="outputs")
@dataclass(frozen=True, slots=True, kw_only=True)
class SummedLoss:
    """No sum is followed at the rate of a mean."""

    max_mean_rate: float = 1.0
    """Rate times the number of items that are summed."""
    max_sum_error: float = 0.02
    """How far the whole may be from the sum of its halves."""

    def judge(self, scene: Scene, /) -> Answer:
        if scene.has_own_step:
            raise Unseen("the program has its own step")
        batch = scene.batch()
        size = num_samples(batch)
        if size is None or size < 4:
            raise Unseen("the batch cannot be cut into halves")
        cut = size // 2
        whole = scene.evaluated.loss
        parts = [_loss(scene, take(batch, part)) for part in (range(cut), range(cut, size))]
        ratio = whole / (sum(parts) / 2) if sum(parts) else math.nan
        seen = f"the whole batch has {ratio:.3g} times the loss of a half"
        if not abs(ratio - 2) <= 2 * self.max_sum_error:
            return passed(self, seen, ratio)
        return self._summed(scene, seen, ratio, size)

    def _summed(self, scene: Scene, seen: str, ratio: float, size: int) -> Answer:
        optimizer = scene.program.optimizer
        rate = max(float(group["lr"]) for group in optimizer.param_groups)
        items = _num_items(scene, size)
        if not isinstance(optimizer, _FOLLOWING) or scene.program.clip is not None:
            return passed(self, f"{seen}: a sum, under a clip or an adaptive optimizer", ratio)
        if rate * items <= self.max_mean_rate:
            return passed(self, f"{seen}: a sum, at the rate {rate:.2g} for {items} items", ratio)
        said = finding(
            self,
            f"The loss is a sum over {items} items (the whole batch has {ratio:.3g} times the loss of a "
            f"half), and {type(optimizer).__name__} follows it at the rate {rate:.3g}: {rate * items:.3g} "
            f"for a mean, expected at most {self.max_mean_rate:g}. Take the mean, or divide the rate.",
            evidence={"ratio": ratio, "items": items, "mean_rate": rate * items},
        )
        return failed(self, seen, ratio, findings=[said])


def _loss(scene: Scene, batch: Any) -> float:
    return scene.look(batch=batch, evaluating=True).loss


def _num_items(scene: Scene, size: int) -> int:
    """Labels that count, or samples."""
    counts = [
        indices(call).numel() for call in scene.first.called(*CLASSES) if output_of(call).numel()
    ]
    return max([size, *counts])
