"""A copy of the network learns one tiny batch by heart.

## What it does
Trains copies on at most eight samples with Adam, at up to three rates, without dropout and with
batch norm on the tiny batch's own statistics.

## Why it matters
Eight samples hold less than any usable network can remember. Whoever cannot learn them has no
path from the inputs to the loss, whatever the data and the rate.

## Passes when
The loss falls to half of what the best answer reaches that ignores the inputs (for classes the
entropy of the tiny batch's labels, for a squared error the variance of its targets). Zero inputs
would give that answer, so less than it is learned from the inputs. For other losses: it falls at all.

## Fails when
No rate brings the loss below nine tenths of that answer; for other losses, none lowers it.

## What to do
The message says how many parameters got no gradient, or one of zeros. Look for `.detach()`,
`no_grad`, `argmax` and frozen layers on the way; for an activation at the end that cannot reach the
targets; for a stack too deep for its initialisation.

## Source
Karpathy 2019, "A Recipe for Training Neural Networks": overfit one batch.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Final

import torch

from steadytrain.checks._batches import cloned
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import FirstStep
from steadytrain.checks._tiny import best_constant, causes, speaks, tiny, without_dropout
from steadytrain.checks._trial import Trial
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Severity

_RATES: Final = (1e-3, 1e-2, 1e-4)


@check(
    code="GRD202",
    causes=("detached-graph", "frozen-params", "vanishing-gradient", "output-activation-mismatch"),
    stage="overfit",
    slow=True,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class TinyBatch:
    """Eight samples can be learned."""

    num_samples: int = 8
    """Samples of the tiny batch."""
    max_steps: int = 80
    """Steps at each rate."""
    max_learned_ratio: float = 0.5
    """Loss over that of the best answer without inputs, at which learning is shown."""
    min_failed_ratio: float = 0.9
    """The same, above which nothing was learned at any rate."""
    max_seconds: float = 5.0
    """Time after which it is left undecided, for networks too large to train here."""

    def judge(self, scene: Scene, /) -> Answer:
        if scene.has_own_step:
            raise Unseen("the program has a step of its own; own-step-learns asks it")
        scene.first  # noqa: B018 - a step that raises is said by first-step
        batch = tiny(scene, self.num_samples)
        with scene.trial() as trial:
            first = trial.record(cloned(batch))
        constant = best_constant(first)
        deadline = time.monotonic() + self.max_seconds
        lowest, steps = math.inf, 0
        for rate in _RATES:
            loss, taken = self._train(scene, batch, rate, self._goal(first, constant), deadline)
            lowest, steps = min(lowest, loss), steps + taken
            if lowest <= self._goal(first, constant):
                return passed(self, _seen(first.loss, lowest, steps, constant), lowest)
        return self._judged(first, lowest, steps, constant, is_late=time.monotonic() > deadline)

    def _goal(self, first: FirstStep, constant: float | None) -> float:
        if constant is None:
            return first.loss - 0.01 * abs(first.loss)
        return self.max_learned_ratio * constant

    def _train(
        self, scene: Scene, batch: Any, rate: float, goal: float, deadline: float
    ) -> tuple[float, int]:
        """The lowest loss at a rate and the steps it took; stops at the goal and the deadline."""
        lowest, taken = math.inf, 0
        with scene.trial() as trial:
            without_dropout(trial.model)
            trained = [p for p in trial.model.parameters() if p.requires_grad]
            optimizer = torch.optim.Adam(trained, lr=rate)
            while taken < self.max_steps:
                taken += 1
                loss = _step(trial, optimizer, cloned(batch))
                lowest = min(lowest, loss) if math.isfinite(loss) else lowest
                if lowest <= goal or time.monotonic() > deadline or not math.isfinite(loss):
                    break
            optimizer.state.clear()  # as large as two copies, and the next trial begins at once
        return lowest, taken

    def _judged(
        self, first: FirstStep, lowest: float, steps: int, constant: float | None, *, is_late: bool
    ) -> Answer:
        seen = _seen(first.loss, lowest, steps, constant)
        if steps <= 2 * len(_RATES) and not is_late:
            return not_applicable(self, "the loss is not finite after one step at any rate")
        if is_late:
            return not_applicable(self, f"undecided after {self.max_seconds:g} s: {seen}")
        limit = first.loss if constant is None else self.min_failed_ratio * constant
        if lowest < limit:
            return passed(self, seen, lowest)
        silent = [
            name for name, one in first.gradients.items() if one.requires_grad and not speaks(one)
        ]
        total = sum(one.requires_grad for one in first.gradients.values())
        aim = (
            "expected a loss that falls at all"
            if constant is None
            else f"where an answer that ignores the inputs reaches {constant:.3g}"
        )
        said = finding(
            self,
            f"Eight samples cannot be learned: the loss goes from {first.loss:.4g} to {lowest:.4g} in "
            f"{steps} steps at the rates 1e-4 to 1e-2, {aim}. {len(silent)} of {total} trainable "
            "parameters get no gradient: look for what cuts the graph or stops the signal.",
            severity=Severity.CRITICAL,
            site=silent[0] if silent else None,
            causes=causes(first, silent),
            evidence={"first": first.loss, "lowest": lowest, "silent_parameters": len(silent)},
        )
        return failed(self, seen, lowest, findings=[said])


def _step(trial: Trial, optimizer: torch.optim.Optimizer, batch: Any) -> float:
    optimizer.zero_grad(set_to_none=True)
    loss = trial.loss(batch)
    trial.backward(loss)
    optimizer.step()
    return float(loss.detach())


def _seen(first: float, lowest: float, steps: int, constant: float | None) -> str:
    aim = "" if constant is None else f", {constant:.3g} without inputs"
    return f"{first:.3g} to {lowest:.3g} in {steps} steps{aim}"
