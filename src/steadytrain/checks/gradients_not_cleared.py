"""Gradients of earlier steps are still there when the next ones are added.

## What it does
Takes some steps of the program's own on a copy and follows every gradient: was there something
left that an optimizer had used already when backward brought the next, and was the sum used?

## Why it matters
Every step then follows the sum of all gradients so far: a momentum of one, which overshoots ever
further.

## Passes when
What an optimizer uses was brought since its last step. Accumulation over several batches passes,
and so do gradients that are cleared before they are used again.

## Fails when
More than half of the optimizer's steps after its first use gradients again that it had used.

## What to do
Call `optimizer.zero_grad()` once per optimizer step, after `step()` or before `backward()`.

## Source
PyTorch adds to `.grad` at every backward; its documentation of `zero_grad`.
"""

from __future__ import annotations

from dataclasses import dataclass

from steadytrain.checks._naming import listed
from steadytrain.checks._scene import Scene
from steadytrain.checks._steps import steps_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Severity


@check(code="LOP250", causes=("missing-zero-grad",), stage="loop")
@dataclass(frozen=True, slots=True, kw_only=True)
class GradientsNotCleared:
    """Options of the check."""

    max_stale_fraction: float = 0.5
    """Share of an optimizer's later steps that may use a gradient again."""

    def judge(self, scene: Scene, /) -> Answer:
        steps = scene.once(steps_of)
        used = [path for path in steps.paths if path.num_used > 1]
        if not used:
            return not_applicable(self, f"no gradient was used twice in {steps.num_calls} steps")
        stale = [p for p in used if p.num_stale > self.max_stale_fraction * (p.num_used - 1)]
        seen = f"{len(stale)} of {len(used)} parameters keep old gradients"
        if not stale:
            return passed(self, seen, 0)
        names = [path.name for path in stale]
        worst = max(stale, key=lambda path: path.num_stale)
        return failed(
            self,
            seen,
            len(stale),
            findings=[
                finding(
                    self,
                    f"In {worst.num_stale} of {worst.num_used} optimizer steps the gradient of "
                    f"{listed(names)} still held what earlier steps had used: it is never cleared. "
                    "Call optimizer.zero_grad() once per step.",
                    severity=Severity.CRITICAL,
                    site=None if len(stale) == len(used) else names[0],
                    evidence={
                        "parameters": names[:8],
                        "num_stale": worst.num_stale,
                        "num_used": worst.num_used,
                    },
                )
            ],
        )
