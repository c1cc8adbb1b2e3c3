"""The gradients are clipped after the optimizer has used them.

## What it does
Takes some steps of the program's own on a copy and compares every gradient as the optimizer found
it with what is left of it at the end of the step.

## Why it matters
The log shows clipped norms, and the weights were moved by the whole gradients.

## Passes when
Gradients end the step as they were used, or cleared.

## Fails when
After the optimizer's step all gradients are smaller by one common factor.

## What to do
Clip between backward and step.

## Source
Pascanu, Mikolov, Bengio 2013, algorithm 1: the clipped gradient is the one that is applied.
"""

from __future__ import annotations

from dataclasses import dataclass

from steadytrain.checks._scene import Scene
from steadytrain.checks._steps import steps_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed


@check(code="LOP253", causes=("step-order", "missing-grad-clip"), stage="clipping")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClipAfterStep:
    """Options of the check."""

    min_times: int = 1
    """Steps in which it must be seen."""

    def judge(self, scene: Scene, /) -> Answer:
        if not scene.has_own_step:
            return not_applicable(self, "the loop is steadytrain's own")
        steps = scene.once(steps_of)
        times = len(steps.shrunk_late)
        seen = f"gradients shrank after use in {times} of {steps.num_calls} steps"
        if times < self.min_times:
            return passed(self, seen, times)
        factor = min(steps.shrunk_late)
        return failed(
            self,
            seen,
            times,
            findings=[
                finding(
                    self,
                    f"In {times} of {steps.num_calls} steps all gradients were made smaller, by a "
                    f"factor down to {factor:.2g}, after the optimizer had used them. Clip between "
                    "backward and step.",
                    evidence={"num_steps": times, "smallest_factor": factor},
                )
            ],
        )
