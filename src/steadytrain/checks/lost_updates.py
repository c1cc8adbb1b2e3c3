"""Updates of low-precision weights are rounded away.

## What it does
Takes three steps of the program's own on a copy and counts, among the elements of bfloat16 and float16
weights that have a gradient, how many are the same bits afterwards.

## Why it matters
bfloat16 has 8 bits: a step below 0.2 to 0.4% of a weight is rounded away, and in the next step
again, so that most weights never move.

## Passes when
Weights are float32, or seven elements of ten move.

## Fails when
More than three tenths of the elements with a gradient stand still in all three steps.

## What to do
Keep the weights in float32 and compute under autocast; or round stochastically, or with Kahan
summation.

## Source
Zamirai et al. 2020 (Revisiting BFloat16 training), section 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from steadytrain.checks._naming import listed
from steadytrain.checks._scene import Scene
from steadytrain.checks._trial import Trial
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, not_applicable, passed

_HALVES = (torch.bfloat16, torch.float16)
_STEPS = 3


@check(code="PRE252", causes=("low-precision-update-lost",), stage="precision")
@dataclass(frozen=True, slots=True, kw_only=True)
class LostUpdates:
    """Options of the check."""

    max_lost: float = 0.3
    """Share of the elements with a gradient that may stand still."""

    def judge(self, scene: Scene, /) -> Answer:
        if not any(one.dtype in _HALVES and one.requires_grad for one in scene.parameters.values()):
            return not_applicable(self, "no trainable weight has 16 bits")
        with scene.trial() as trial:
            still = _standing_still(trial)
        total = sum(count for _, count in still.values())
        if not total:
            return not_applicable(self, "no weight of 16 bits got a gradient")
        lost = sum(stood for stood, _ in still.values()) / total
        seen = f"{lost:.0%} of the elements stand still in {_STEPS} steps"
        if not lost > self.max_lost:
            return passed(self, seen, lost)
        worst = sorted(still, key=lambda name: -still[name][0] / max(1, still[name][1]))
        return failed(
            self,
            seen,
            lost,
            findings=[
                finding(
                    self,
                    f"{lost:.0%} of the 16-bit weights that have a gradient are the same bits after "
                    f"{_STEPS} steps, most in {listed(worst)}: their updates are rounded away. Keep "
                    "the weights in float32, or round stochastically.",
                    site=worst[0],
                    evidence={"lost_fraction": lost, "parameters": worst[:8]},
                )
            ],
        )


def _standing_still(trial: Trial) -> dict[str, tuple[int, int]]:
    """Per weight: elements that had a gradient and stood still, and those that had one."""
    watched = {n: p for n, p in trial.model.named_parameters() if p.dtype in _HALVES}
    before = {name: one.detach().clone() for name, one in watched.items()}
    reached: dict[str, Tensor] = {
        n: torch.zeros_like(p, dtype=torch.bool) for n, p in watched.items()
    }
    handles = [
        one.register_hook(lambda gradient, name=name: _note(reached, name, gradient))
        for name, one in watched.items()
        if one.requires_grad
    ]
    try:
        for batch in trial.batches(_STEPS):
            trial.step(batch)
    except Exception as error:  # the user's step may raise anything
        raise Unseen(f"the step raised {type(error).__name__}: {error}") from error
    finally:
        for handle in handles:
            handle.remove()
    return {
        name: (int((reached[name] & (one == before[name])).sum()), int(reached[name].sum()))
        for name, one in watched.items()
    }


def _note(reached: dict[str, Tensor], name: str, gradient: Tensor) -> None:
    reached[name] |= gradient.to_dense() != 0
