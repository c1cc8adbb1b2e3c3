"""The program's own step learns one tiny batch that it is given again and again.

## What it does
Runs the user's own `step_fn`, with its optimizer, rate and schedule, up to eighty times on a copy and on
the same eight samples, without dropout; where the step returns one loss of torch's, over classes or of
squares, and the program has one optimizer.

## Why it matters
What the step returns is what it is meant to lower. If eighty steps on eight samples do not lower it at
all, the step does not train what the loss is computed of, or at a rate of nothing.

## Passes when
The loss falls.

## Fails when
After eighty steps its median is no lower than at the first, within half a percent.

## What to do
Look at which model and which optimizer the step uses, whether backward comes before step, whether what
is stepped is the copy in `program` (not a model from outside), and at the rate.

## Source
Karpathy 2019, "A Recipe for Training Neural Networks": overfit one batch.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from statistics import median
from typing import Any

from steadytrain.checks._batches import cloned
from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import FirstStep
from steadytrain.checks._tiny import best_constant, causes, speaks, tiny, without_dropout
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Severity


@check(
    code="GRD203",
    causes=("detached-graph", "missing-optimizer-step", "params-not-in-optimizer", "lr-too-low"),
    stage="overfit",
    slow=True,
)
@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStepLearns:
    """Options of the check."""

    num_samples: int = 8
    """Samples of the tiny batch."""
    max_steps: int = 80
    """Steps on it."""
    min_fall: float = 0.005
    """Share of the first loss by which it must have fallen."""
    max_seconds: float = 5.0
    """Time after which it is left undecided."""

    def judge(self, scene: Scene, /) -> Answer:
        if not scene.has_own_step:
            return not_applicable(self, "the canonical step is asked by tiny-batch")
        if len(scene.optimizers) > 1:
            return not_applicable(self, "several optimizers: one may raise what the other lowers")
        scene.first  # noqa: B018 - a step that raises is said by first-step
        batch = tiny(scene, self.num_samples)
        with scene.trial() as trial:
            first = trial.record(cloned(batch))
        if best_constant(first) is None:
            return not_applicable(self, "the step returns no single loss of classes or squares")
        losses = self._losses(scene, batch)
        if not all(map(math.isfinite, losses)):
            return not_applicable(self, "the loss is not finite; later-steps says where")
        seen = f"{losses[0]:.3g} to {median(losses[-5:]):.3g} in {len(losses)} steps"
        if median(losses[-5:]) < losses[0] - self.min_fall * abs(losses[0]):
            return passed(self, seen, losses[-1])
        if len(losses) < self.max_steps:
            return not_applicable(self, f"undecided after {self.max_seconds:g} s: {seen}")
        return self._failed(first, losses, seen)

    def _losses(self, scene: Scene, batch: Any) -> list[float]:
        """The losses of the steps, until half of the first is reached or the time is over."""
        losses: list[float] = []
        begin = time.monotonic()
        with scene.trial() as trial:
            without_dropout(trial.model)
            while len(losses) < self.max_steps and time.monotonic() - begin < self.max_seconds:
                try:
                    losses.append(trial.step(cloned(batch)))
                except Exception as error:  # the user's step may raise anything
                    raise Unseen(f"a step raised {type(error).__name__}: {error}") from error
                if not math.isfinite(losses[-1]) or (
                    len(losses) > 5 and losses[-1] < losses[0] / 2
                ):
                    break
        return losses

    def _failed(self, first: FirstStep, losses: list[float], seen: str) -> Answer:
        silent = [
            name for name, one in first.gradients.items() if one.requires_grad and not speaks(one)
        ]
        said = finding(
            self,
            f"Eight samples are not learned by {len(losses)} of the program's own steps: the loss goes "
            f"from {losses[0]:.4g} to {median(losses[-5:]):.4g}. {len(silent)} of "
            f"{len(first.gradients)} parameters get no gradient; look at which model and optimizer the "
            "step uses, and at its rate.",
            severity=Severity.CRITICAL,
            site=silent[0] if silent else None,
            causes=causes(first, silent)
            if silent
            else ("lr-too-low", "missing-optimizer-step", "params-not-in-optimizer"),
            evidence={"first": losses[0], "last": losses[-1], "silent_parameters": len(silent)},
        )
        return failed(self, seen, losses[-1], findings=[said])
