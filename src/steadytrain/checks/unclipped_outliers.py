"""Rare large gradients reach the weights unchecked.

## What it does
Takes the gradient of up to 24 batches at the weights the program begins with, and compares the
largest norm with the median; looks in the program's own steps whether gradients are clipped.

## Why it matters
An optimizer that does not divide by the gradient's size takes steps as long as the gradient: one
that is dozens of times the usual one carries the weights away from all that was learned.

## Passes when
The largest norm is below twenty times the median, gradients are clipped, or the optimizer divides by
their size.

## Fails when
A norm is twenty times the median or more, and nothing shortens it.

## What to do
Clip the gradient norm near its median: `clip_grad_norm_(parameters, threshold)`, or `RobustClip`.

## Source
Zhang et al. 2020 (Why are adaptive methods good for attention models?): under heavy-tailed noise
plain descent without a clip does not converge.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median

from steadytrain.checks._batches import cloned
from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.checks._several import several
from steadytrain.checks._traffic import is_scale_free, norm_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, not_applicable, passed

_MOST, _FEWEST = 24, 6
_SECONDS, _QUICK_SECONDS = 2.0, 0.5


@check(code="OPT260", causes=("missing-grad-clip", "bad-batch"), stage="clipping")
@dataclass(frozen=True, slots=True, kw_only=True)
class UnclippedOutliers:
    """Options of the check."""

    max_ratio: float = 20.0
    """The largest gradient norm over the median."""

    def judge(self, scene: Scene, /) -> Answer:
        program = scene.program
        if program.clip is not None or scene.has_own_step:
            return not_applicable(self, "gradients are clipped, or by a step_fn of its own")
        if is_scale_free(program.optimizer):
            return not_applicable(self, "the optimizer divides by the gradient's size")
        norms = _norms(scene)
        if len(norms) < _FEWEST or not median(norms) > 0.0:
            return not_applicable(self, f"{len(norms)} gradients are too few")
        ratio = max(norms) / median(norms)
        seen = f"norms up to {number(ratio)} times their median over {len(norms)} batches"
        if ratio < self.max_ratio:
            return passed(self, seen, ratio)
        place = norms.index(max(norms))
        return failed(
            self,
            seen,
            ratio,
            findings=[
                finding(
                    self,
                    f"The gradient of batch {place + 1} has {number(ratio)} times the median norm of "
                    f"{number(median(norms))}, and nothing shortens it. Clip near the median.",
                    evidence={"ratio": ratio, "median": median(norms), "batch": place},
                )
            ],
        )


def _norms(scene: Scene) -> list[float]:
    norms: list[float] = []
    begin, seconds = time.perf_counter(), _QUICK_SECONDS if scene.quick else _SECONDS
    with scene.trial() as trial:
        for batch in scene.once(several)[:_MOST]:
            if norms and time.perf_counter() - begin > seconds:
                break
            trial.model.zero_grad(set_to_none=True)
            try:
                trial.loss(cloned(batch)).backward()
            except Unseen:
                raise
            except Exception as error:  # the user's loss may raise anything
                raise Unseen(f"the loss raised {type(error).__name__}: {error}") from error
            norms.append(sum(norm_of(one.grad) ** 2 for one in trial.model.parameters()) ** 0.5)
    return norms
