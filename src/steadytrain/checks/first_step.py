"""A copy of the program takes its first step without an error, and its loss is a finite number.

## What it does
Runs the forward and the backward pass (with a `step_fn`, one whole step) of a copy on the first
batch.

## Why it matters
Shapes or dtypes that do not fit, and a loss that is infinite before anything was learned, would
end the run at once or poison every weight at the first update.

## Passes when
The step ends and the loss is finite.

## Fails when
The program's own code raises, or the loss is NaN or infinite.

## What to do
The message has the error and the module it was raised in, or the first module whose output is not
finite: begin there.

## Source
Karpathy 2019, "A Recipe for Training Neural Networks": set up the end-to-end skeleton first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from steadytrain.checks._scene import Scene
from steadytrain.checks._seen import FirstStep
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, passed
from steadytrain.core.finding import Finding, Severity


@check(code="LOP201", causes=("unknown",), stage="shapes")
@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStepRuns:
    """The first step of a copy ends with a finite loss."""

    def judge(self, scene: Scene, /) -> Answer:
        failure = scene.failure
        if failure is not None:
            site = failure.site or None
            message = f"The first step cannot be taken: {failure}. Put this right first."
            said = finding(self, _ended(message), severity=Severity.CRITICAL, site=site)
            return failed(self, "the step raised", findings=[said])
        first = scene.first
        if not math.isfinite(first.loss):
            return failed(
                self, f"loss {first.loss}", first.loss, findings=[_not_finite(self, first)]
            )
        return passed(self, f"loss {first.loss:.4g}", first.loss)


def _not_finite(asked: FirstStepRuns, first: FirstStep) -> Finding:
    inside = next((m for m in first.modules if m.is_leaf and _is_bad(m.output)), None)
    given = inside is not None and any(_is_bad(facts) for facts in inside.inputs)
    site = None if inside is None else inside.path or None
    where = f" The first output that is not finite is that of {site}." if site else ""
    causes = ("nonfinite-input",) if given else ("exp-overflow", "log-of-zero", "div-by-zero")
    return finding(
        asked,
        f"The loss of the first batch is {first.loss}, expected a finite number.{where} Look for "
        "NaN in the data, and for exp, log, sqrt and divisions there.",
        severity=Severity.CRITICAL,
        site=site,
        causes=causes,
        evidence={"loss": first.loss},
    )


def _is_bad(facts: object) -> bool:
    return getattr(facts, "num_nonfinite", 0) > 0


def _ended(text: str, limit: int = 380) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[:limit]}..."
