"""A later step than the first raises, or brings NaN.

## What it does
Takes some steps of the program's own on a copy. Where one raises, or a loss or gradient is not
finite, it takes them again with every operation watched and names the first that went wrong.

## Why it matters
The first step shows what is wrong with shapes. What is carried from step to step, and what the
first updates lead to, shows in the second and tenth.

## Passes when
The steps end, and losses and gradients are finite; infinite gradients under a loss scaler are how
it searches for its scale.

## Fails when
A step after the first raises; or a loss or a gradient is NaN or infinite without a scaler.

## What to do
The message names the operation. A graph that is kept from step to step must be detached; roots,
logarithms and divisions need a lower bound inside.

## Source
PyTorch's documentation of `torch.autograd.detect_anomaly`.
"""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass

import torch

from steadytrain.checks._holdings import scalers_of
from steadytrain.checks._scene import Scene
from steadytrain.checks._several import several
from steadytrain.checks._steps import Steps, steps_of
from steadytrain.checks._sweep import batches_are_finite
from steadytrain.checks._watched import Sweep, Watching
from steadytrain.core.answer import Answer
from steadytrain.core.check import Unseen, check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Severity

_KEPT = ("second time", "modified by an inplace operation")
"""What PyTorch says of a graph that was used or changed before."""

_BY_OPERATION = {
    "sqrt": "sqrt-zero-grad",
    "norm": "sqrt-zero-grad",
    "pow": "sqrt-zero-grad",
    "cdist": "sqrt-zero-grad",
    "log": "log-of-zero",
    "div": "div-by-zero",
    "reciprocal": "div-by-zero",
    "exp": "exp-overflow",
    "softplus": "exp-overflow",
}


@check(
    code="NUM251",
    causes=(
        "sqrt-zero-grad",
        "log-of-zero",
        "div-by-zero",
        "exp-overflow",
        "graph-retained",
        "lr-too-high",
        "missing-grad-clip",
    ),
    stage="loop",
)
@dataclass(frozen=True, slots=True, kw_only=True)
class LaterSteps:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        try:
            steps = scene.once(steps_of)
        except Unseen as error:
            return self._raised(str(error))
        bad = _first_bad(steps)
        if bad is None or scalers_of(scene.program) or scene.program.precision == "fp16":
            return passed(self, f"{steps.num_calls} steps end and are finite", steps.num_calls)
        if not batches_are_finite(scene.once(several)):
            return not_applicable(self, "the data themselves are not finite")
        operation = _operation(scene, steps.num_calls)
        message = (
            f"In step {bad + 1} {operation or 'an operation'} gives NaN or infinity, from finite data. "
            "Bound what it is given away from zero, or from where it overflows."
        )
        causes = _causes(operation)
        if _had_diverged(steps.losses[:bad]):
            causes = ("lr-too-high", "missing-grad-clip", *causes)
            message = f"{message} The loss had grown many times over before: lower the rate first."
        return self._failed(f"step {bad + 1} is not finite", message, causes)

    def _raised(self, reason: str) -> Answer:
        found = re.match(r"step (\d+) of the program's own raised ", reason)
        if found is None or int(found[1]) < 2 or "Tried to step" in reason:  # a schedule's end
            return not_applicable(self, reason)
        kept = any(words in reason for words in _KEPT)
        remedy = "Detach what is carried from step to step." if kept else "The first step did not."
        causes = ("graph-retained" if kept else "unknown",)
        return self._failed(f"step {found[1]} raised", f"S{reason[1:]}. {remedy}", causes)

    def _failed(self, seen: str, message: str, causes: tuple[str, ...]) -> Answer:
        said = finding(self, message, severity=Severity.CRITICAL, causes=causes)
        return failed(self, seen, findings=[said])


def _first_bad(steps: Steps) -> int | None:
    """The first step whose loss is not finite; the first of all where only gradients are not."""
    for place, loss in enumerate(steps.losses):
        if not math.isfinite(loss):
            return place
    return 0 if any(path.num_nonfinite for path in steps.paths) else None


def _had_diverged(losses: list[float]) -> bool:
    """Whether the steps before led the loss to ten times its beginning: NaN is then its end."""
    return len(losses) > 1 and max(losses) > losses[0] + 9 * abs(losses[0])


def _operation(scene: Scene, num_steps: int) -> str | None:
    """The first operation, forward or backward, that gave NaN from finite numbers."""
    with scene.trial() as trial, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that detecting anomalies is slow
        seen = Sweep()
        with Watching(trial.model, seen):
            for batch in trial.batches(num_steps):
                try:
                    with torch.autograd.set_detect_anomaly(True, check_nan=True):
                        trial.step(batch)
                except Exception as error:  # this is how autograd names the function
                    found = re.search(r"Function '(\w+?)(Backward)?\d*' returned nan", str(error))
                    return _kind(seen) or (found[1] if found else None)
                if _kind(seen):
                    return _kind(seen)
    return None


def _kind(seen: Sweep) -> str | None:
    return seen.operation[1] if seen.operation else None


def _causes(operation: str | None) -> tuple[str, ...]:
    name = (operation or "").lower()
    first = [cause for word, cause in _BY_OPERATION.items() if word in name][:1]
    others = ("sqrt-zero-grad", "div-by-zero", "log-of-zero", "exp-overflow")
    return (*first, *(one for one in others if one not in first))
