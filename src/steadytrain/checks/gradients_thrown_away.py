"""Gradients of a window are cleared before the optimizer has used them.

## What it does
Takes some steps of the program's own on a copy and counts, for each gradient that an optimizer
used, how many were brought and cleared before it.

## Why it matters
Cleared before every microbatch, only the last one counts: the batch is smaller than meant, the
step shorter, and most of the work is thrown away.

## Passes when
What is brought is used, or a scaler skipped the step.

## Fails when
A single optimizer without a closure throws away, for most parameters, two gradients or more for each
one it uses.

## What to do
Clear once per window: before its first microbatch, or after the step.

## Source
PyTorch's examples of gradient accumulation.
"""

from __future__ import annotations

from dataclasses import dataclass

from steadytrain.checks._holdings import optimizers_of
from steadytrain.checks._scene import Scene
from steadytrain.checks._steps import Steps, steps_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed


@check(code="LOP252", causes=("step-order", "accum-not-divided"), stage="loop")
@dataclass(frozen=True, slots=True, kw_only=True)
class GradientsThrownAway:
    """Options of the check."""

    min_lost_per_used: float = 2.0
    """Gradients thrown away for each one used, from which on the check fails; methods that look at a
    gradient and take another (SAM) throw away one."""

    def judge(self, scene: Scene, /) -> Answer:
        if not scene.has_own_step:
            return not_applicable(self, "the loop is steadytrain's own")
        steps = scene.once(steps_of)
        if len(list(optimizers_of(scene.program))) > 1 or _has_closure(steps):
            return not_applicable(self, "several optimizers, or one with a closure")
        used = [path for path in steps.paths if path.num_used > 1]
        if not used:
            return not_applicable(self, "no parameter was stepped twice")
        lost = [p for p in used if p.num_thrown_away >= self.min_lost_per_used * p.num_used]
        share = sum(p.num_thrown_away for p in used) / max(1, sum(p.num_used for p in used))
        seen = f"{share:.2g} gradients thrown away for each one used"
        if len(lost) <= len(used) / 2:
            return passed(self, seen, share)
        return failed(
            self,
            seen,
            share,
            findings=[
                finding(
                    self,
                    f"For each gradient that the optimizer uses, {share:.2g} are cleared unused: "
                    "zero_grad() runs before every microbatch. Clear once per window.",
                    evidence={"lost_per_used": share, "num_parameters": len(lost)},
                )
            ],
        )


def _has_closure(steps: Steps) -> bool:
    return any(update.has_closure for update in steps.updates)
