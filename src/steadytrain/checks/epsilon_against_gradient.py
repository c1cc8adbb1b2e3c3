"""Epsilon, not the gradient, sets the length of the optimizer's steps.

## What it does
Compares each group's `eps` with the root mean square of the first gradient of its parameters, as
the clip leaves it.

## Why it matters
What divides the step is the gradient's size plus eps. Far above every gradient, eps makes Adam a
plain descent at Adam's small rate: the loss stands still.

## Passes when
For most of the elements eps is below five times the gradient; or eps and the loss are of usual size,
and it is the gradient that vanishes.

## Fails when
For most of them it is more than five times as large: their steps are a sixth of what the rate says,
or less.

## What to do
1e-8, the default; smaller where the loss is tiny, or scale the loss to a mean over the batch.

## Source
Kingma & Ba 2015, algorithm 1; Wortsman et al. 2024 on epsilon against the root mean square of the
gradient.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed

_ORDINARY_EPS, _ORDINARY_LOSS = 1e-7, 1e-3
"""A usual eps under a usual loss is not what is wrong: the gradient vanishes on its way."""


@check(code="OPT257", causes=("adam-eps", "loss-reduction"), stage="optimizer")
@dataclass(frozen=True, slots=True, kw_only=True)
class EpsilonAgainstGradient:
    """Options of the check."""

    max_ratio: float = 5.0
    """Eps over the gradient's root mean square."""

    def judge(self, scene: Scene, /) -> Answer:
        rows = list(_rows(scene))
        total = sum(count for _, _, count in rows)
        if not total:
            return not_applicable(self, "no adaptive optimizer whose parameters got a gradient")
        ruled = sum(count for eps, rms, count in rows if not eps <= self.max_ratio * rms)
        eps, rms = max(rows, key=lambda row: row[2])[:2]
        seen = f"eps {number(eps)} against a gradient of {number(rms)}"
        if ruled <= total / 2:
            return passed(self, seen, eps / rms)
        has_vanished = eps > self.max_ratio * rms / _left_by_the_clip(scene)
        is_ordinary = eps <= _ORDINARY_EPS and abs(scene.first.loss) > _ORDINARY_LOSS
        if is_ordinary and has_vanished:
            return passed(
                self, f"{seen}: the gradient has vanished, eps is an ordinary one", eps / rms
            )
        return failed(
            self,
            seen,
            eps / rms,
            findings=[
                finding(
                    self,
                    f"Eps is {number(eps)} and the gradient's root mean square {number(rms)}: eps "
                    f"rules the step of {ruled / total:.0%} of the elements. Lower eps to 1e-8 or "
                    "below the gradients, or bring the loss to scale.",
                    evidence={"eps": eps, "gradient_rms": rms, "ruled_fraction": ruled / total},
                )
            ],
        )


def _rows(scene: Scene) -> Iterator[tuple[float, float, int]]:
    """Eps, the gradient's root mean square and the size of each adaptively stepped parameter."""
    gradients = scene.first.gradients
    names = {id(parameter): name for name, parameter in scene.parameters.items()}
    left = _left_by_the_clip(scene)
    for optimizer in scene.optimizers.values():
        for group in optimizer.param_groups:
            if "eps" not in group or not ({"betas", "alpha"} & group.keys()):
                continue
            for parameter in group["params"]:
                seen = gradients.get(names.get(id(parameter), ""))
                rms = 0.0 if seen is None or seen.gradient is None else seen.gradient.rms * left
                if rms > 0.0:
                    yield float(group["eps"]), rms, parameter.numel()


def _left_by_the_clip(scene: Scene) -> float:
    if scene.has_own_step or scene.program.clip is None:
        return 1.0
    squares = [
        one.gradient.rms**2 * math.prod(one.gradient.shape)
        for one in scene.first.gradients.values()
        if one.gradient is not None
    ]
    norm = math.sqrt(sum(squares))
    return min(1.0, scene.program.clip / norm) if norm > 0.0 else 1.0
