"""Clipping leaves next to nothing of every gradient.

## What it does
Takes some steps of the program's own on a copy and compares each gradient after backward, without
the loss scale, with what the optimizer found.

## Why it matters
A threshold hundreds of times below every gradient, and not the rate, sets the length of the step;
with an optimizer that does not divide by the gradient's size, nothing moves any more. Clipping a
gradient that still has the loss scale in it does the same.

## Passes when
The optimizer finds more than a hundredth of the gradient in the median step, or divides by the
gradient's own size.

## Fails when
It finds less, in the median of the steps.

## What to do
Set the threshold near the median gradient norm. With a scaler: `scaler.unscale_(optimizer)` before
the clip.

## Source
Pascanu, Mikolov, Bengio 2013 choose it from the average norm over a run; PyTorch's examples of
automatic mixed precision.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.checks._steps import steps_of
from steadytrain.checks._traffic import Update
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed


@check(code="OPT258", causes=("clip-too-tight", "unscale-order"), stage="clipping")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFarBelowGradient:
    """Options of the check."""

    min_left: float = 0.01
    """Share of the gradient that must be left in the median step."""

    def judge(self, scene: Scene, /) -> Answer:
        updates = [one for one in scene.once(steps_of).updates if _tells(one)]
        if not updates:
            return not_applicable(self, "no optimizer step with a gradient was seen")
        left = median(one.used_norm / one.norm for one in updates)
        norm = median(one.norm for one in updates)
        seen = f"{number(min(1.0, left))} of a gradient of {number(norm)} is left"
        still_scaled = _is_clipped_with_scale(updates)
        if left >= self.min_left or (all(one.scale_free for one in updates) and not still_scaled):
            return passed(self, seen, left)
        causes = ("unscale-order", "clip-too-tight")
        remedy = (
            "the loss scale is still in it. Call scaler.unscale_(optimizer) before clipping."
            if still_scaled
            else "the threshold rules the step. Set it near the median norm."
        )
        return failed(
            self,
            seen,
            left,
            findings=[
                finding(
                    self,
                    f"Clipping leaves {number(left)} of a gradient of norm {number(norm)}: {remedy}",
                    causes=causes if still_scaled else causes[::-1],
                    evidence={"left": left, "norm": norm, "loss_scale": updates[0].scale},
                )
            ],
        )


def _tells(update: Update) -> bool:
    return not update.has_closure and update.used_norm > 0.0 and 0.0 < update.norm < float("inf")


def _is_clipped_with_scale(updates: list[Update]) -> bool:
    """Whether what the optimizer finds is one constant over the loss scale in nearly all steps."""
    if not all(one.scale > 1.0 for one in updates) or len(updates) < 3:
        return False
    sizes = sorted(one.used_norm * one.scale for one in updates)
    middle = sizes[len(sizes) // 2]
    return sum(abs(size - middle) < 0.01 * middle for size in sizes) > 0.8 * len(sizes)
