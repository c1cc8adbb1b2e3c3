"""The last activation can reach the targets.

## What it does
Where a ReLU, sigmoid, tanh or softmax is the last thing before an elementwise loss, compares the
range of its output with the targets of the first batch.

## Why it matters
A network that ends in a ReLU cannot say a negative number, one that ends in a sigmoid none above
1; a softmax over a single unit is always 1. What cannot be said stays as error, whatever is
learned.

## Passes when
The targets lie in the range of the last activation, or no such activation is there.

## Fails when
More than 1% of the targets are outside of it, or a softmax runs over a single unit.

## What to do
End in a linear layer, or bring the targets into the range.

## Source
TheDeepChecker (Ben Braiek & Khomh 2023), unmatched output activation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from torch import Tensor

from steadytrain.checks._losses import ELEMENTWISE, squash_before, target_of
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import Call
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Severity

_RANGES: Final = {
    "relu": (0.0, math.inf),
    "softplus": (0.0, math.inf),
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
}


@check(code="LOS204", causes=("output-activation-mismatch",), stage="outputs")
@dataclass(frozen=True, slots=True, kw_only=True)
class OutputRange:
    """Targets lie where the output can go."""

    max_outside_fraction: float = 0.01
    """Share of targets outside of the range: a few may be outliers that nobody has to meet."""

    def judge(self, scene: Scene, /) -> Answer:
        alone = next((call for call in scene.calls if _over_one_unit(call)), None)
        if alone is not None:
            message = (
                "A softmax runs over a dimension of 1: its output is always 1, whatever the network "
                "computes, and no gradient comes back. Use a sigmoid for one unit, or two units."
            )
            said = finding(self, message, severity=Severity.CRITICAL, site=alone.path or None)
            return failed(self, "a softmax over one unit", 1.0, findings=[said])
        judged = [self._judged(scene, call) for call in scene.calls if call.name in ELEMENTWISE]
        answers = [answer for answer in judged if answer is not None]
        bad = next((answer for answer in answers if answer.verdict == "failed"), None)
        if bad is not None:
            return bad
        return answers[0] if answers else not_applicable(self, "no activation before the loss")

    def _judged(self, scene: Scene, call: Call) -> Answer | None:
        squash = squash_before(scene, call) if call.input_needs_grad else None
        if squash is None or squash.name not in _RANGES:
            return None
        low, high = _RANGES[squash.name]
        target = target_of(call).float()
        share = _share_outside(target, low, high)
        seen = (
            f"targets {float(target.min()):.3g} to {float(target.max()):.3g} after a {squash.name}"
        )
        if share <= self.max_outside_fraction:
            return passed(self, seen, share)
        said = finding(
            self,
            f"The network ends in a {squash.name}, which gives {low:g} to {high:g}; {share:.0%} of "
            f"the targets are outside, from {float(target.min()):.3g} to {float(target.max()):.3g}. "
            "End in a linear layer, or scale the targets.",
            severity=Severity.CRITICAL,
            site=squash.path or None,
            evidence={"outside_fraction": share, "activation": squash.name},
        )
        return failed(self, seen, share, findings=[said])


def _over_one_unit(call: Call) -> bool:
    """A softmax of the loss's own kind over one unit; attention to a single token is no mistake."""
    if call.name not in ("softmax", "log_softmax") or call.raised or not call.input_needs_grad:
        return False
    dim = call["dim"]
    output = call.output
    last = dim is None or dim in (-1, output.dim() - 1)
    return output.dim() == 2 and last and output.shape[-1] == 1 and output.shape[0] > 1


def _share_outside(target: Tensor, low: float, high: float) -> float:
    width = 1.0 if math.isinf(high) else high - low
    margin = 0.01 * width
    outside = (target < low - margin) | (target > high + margin)
    return float(outside.float().mean()) if target.numel() else 0.0
