"""The gradients of accumulated microbatches are summed where their mean is meant.

## What it does
Takes a step of the program's own `step_fn` on a copy and compares the gradient that several
backward passes have added up with the gradient of `loss_fn` on the same batch.

## Why it matters
The gradient is as many times too large as there are microbatches, and so is the step of an optimizer
that does not divide by it.

## Passes when
The sum is no larger than twice the gradient of the whole batch.

## Fails when
Four or more backward passes within one step add up to about their number times the gradient of the
whole batch.

## What to do
Divide each loss by the number of microbatches, or better by the number of items in the window:
`accumulate`.

## Source
huggingface/transformers issue 34191, for what dividing by the wrong number does.
"""

from __future__ import annotations

from dataclasses import dataclass

from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.checks._steps import steps_of
from steadytrain.checks._traffic import norm_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed


@check(code="LOP257", causes=("accum-not-divided", "loss-reduction"), stage="loop")
@dataclass(frozen=True, slots=True, kw_only=True)
class AccumulationNotDivided:
    """Options of the check."""

    min_passes: int = 4
    """Backward passes per step from which on a sum is told from a mean."""

    def judge(self, scene: Scene, /) -> Answer:
        program = scene.program
        if program.step_fn is None or program.loss_fn is None:
            return not_applicable(self, "the loop is steadytrain's own, or there is no loss_fn")
        updates = scene.once(steps_of).updates
        first = next((one for one in updates if one.call == 0 and not one.has_closure), None)
        if first is None or first.num_backward < self.min_passes:
            return not_applicable(self, "fewer than four backward passes in the first step")
        ratio = first.norm / _norm_of_batch(scene)
        passes = first.num_backward
        seen = f"{number(ratio)} times the batch's gradient from {passes} backward passes"
        if not 0.7 * passes <= ratio <= 1.4 * passes:
            return passed(self, seen, ratio)
        return failed(
            self,
            seen,
            ratio,
            findings=[
                finding(
                    self,
                    f"{passes} backward passes add up to {number(ratio)} times the gradient of the "
                    f"batch, expected 1: the losses are not divided. Divide each by {passes}.",
                    evidence={"ratio": ratio, "num_backward": passes},
                )
            ],
        )


def _norm_of_batch(scene: Scene) -> float:
    """The norm of the whole batch's gradient, at the weights the program begins with."""
    with scene.trial() as trial:
        trial.model.zero_grad(set_to_none=True)
        trial.loss(scene.batch()).backward()
        squares = sum(norm_of(one.grad) ** 2 for one in trial.model.parameters())
    return max(squares**0.5, 1e-30)
