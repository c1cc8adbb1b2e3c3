"""A deep stack with its norms on the residual stream begins at the full rate.

## What it does
Counts the norms whose input is the sum of a branch and of what the norm before put out, and looks at
the rate of the first steps against its peak.

## Why it matters
A norm on the stream rescales the shortcut in every layer: at the start the gradients near the output
are large whatever the depth, and the full rate of an adaptive optimizer carries those layers to where
attention is saturated. The loss then stands at that of a guess.

## Passes when
Norms stand inside the branches; or the stack has fewer than ten such norms (six blocks have eleven), the rate is warmed up, or
it is below 5e-4.

## Fails when
Ten norms or more stand on the stream, and an optimizer that divides by the gradient's size begins at
more than half of a peak rate of 5e-4 or more.

## What to do
Move the norms into the branches: `x + f(norm(x))`. Or warm the rate up over thousands of steps and
lower it.

## Source
Xiong et al. 2020 (On layer normalization in the transformer architecture), sections 3 and 4: post-norm
needs the warmup at a rate of 1e-3 and at 5e-4.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass

from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.checks._traffic import is_scale_free
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed

_LOOK = 2000
"""Steps of the schedule among which its peak is looked for."""


@check(code="INI259", causes=("post-norm-depth", "missing-warmup"), stage="architecture")
@dataclass(frozen=True, slots=True, kw_only=True)
class PostNormStack:
    """Options of the check."""

    min_norms: int = 10
    """Norms on the stream from which on a stack is deep: two to a transformer's block but the first."""
    max_rate: float = 5e-4
    """Rate up to which no warmup is needed."""
    max_first_share: float = 0.5
    """Share of the peak at which the first step may stand and still be a warmup."""

    def judge(self, scene: Scene, /) -> Answer:
        sites = [seen.path for seen in scene.first.modules if seen.is_on_stream]
        if len(sites) < self.min_norms:
            return not_applicable(self, f"{len(sites)} norms stand on a residual stream")
        optimizer = scene.program.optimizer
        rate, share = _peak(scene)
        seen = f"{len(sites)} norms on the stream, rate {number(rate)}, first at {share:.0%} of it"
        warmed = share <= self.max_first_share
        if warmed or rate < self.max_rate or not is_scale_free(optimizer):
            return passed(self, seen, rate)
        said = finding(
            self,
            f"{len(sites)} norms stand on the residual stream, the first in {sites[0]}, and the rate "
            f"begins at {share:.0%} of {number(rate)}. Put the norms into the branches, x + f(norm(x)), "
            f"or warm up from near zero to less than {number(self.max_rate)}.",
            site=sites[0],
            evidence={"num_norms": len(sites), "rate": rate, "first_share": share},
        )
        return failed(self, seen, rate, findings=[said])


def _peak(scene: Scene) -> tuple[float, float]:
    """The highest rate of the schedule, and the first one's share of it."""
    groups = scene.program.optimizer.param_groups
    first = max(float(group["lr"]) for group in groups)
    highest = first
    scheduler = scene.program.scheduler
    if callable(getattr(scheduler, "step", None)):
        highest = max(first, _highest(scheduler, first))
    return highest, first / highest if highest > 0.0 else 1.0


def _highest(scheduler: object, first: float) -> float:
    """The highest rate of a copy of the scheduler, run ahead; the first where it needs more."""
    best = first
    try:
        twin = copy.deepcopy(scheduler)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is stepped before the optimizer
            for _ in range(_LOOK):
                twin.step()  # pyright: ignore[reportAttributeAccessIssue]
                best = max(best, *map(float, twin.get_last_lr()))  # pyright: ignore[reportAttributeAccessIssue]
    except Exception:  # one that needs a metric, or ends after its last step
        return best
    return best
