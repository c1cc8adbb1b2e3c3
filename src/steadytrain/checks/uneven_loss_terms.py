"""A term of the loss that knows no targets brings many times the gradient of those that do.

## What it does
Splits the loss of the first batch into the terms it is the sum of, and computes for each the norm of the
gradient that it brings by itself.

## Why it matters
Under one optimizer the largest gradient decides where the weights go. A divergence, a penalty or an
entropy a hundred times as strong as the error is what gets learned: outputs that ignore the inputs.

## Passes when
No term without targets brings ten times the gradient of the terms with targets together.

## Fails when
One does.

## What to do
Divide its weight until its gradient is a fraction of the error's, or bring it in slowly. A sum over
latent units beside a mean over pixels is such a weight.

## Source
Bowman et al. 2016, section 3.1 (a divergence brought in slowly); Chen et al. 2018 (GradNorm): tasks are
balanced by the norms of their gradients.
"""

from __future__ import annotations

from dataclasses import dataclass

from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.checks._terms import terms_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed


@check(code="LOS251", causes=("loss-term-scale", "posterior-collapse"), stage="start")
@dataclass(frozen=True, slots=True, kw_only=True)
class UnevenLossTerms:
    """Options of the check."""

    max_ratio: float = 10.0
    """Gradient norm of a term without targets over that of the terms with targets."""

    def judge(self, scene: Scene, /) -> Answer:
        if scene.has_own_step and scene.program.loss_fn is None:
            return not_applicable(self, "the program has its own step_fn and no loss_fn")
        terms = scene.once(terms_of)
        errors = sum(term.norm**2 for term in terms if term.is_of_targets) ** 0.5
        others = [term for term in terms if not term.is_of_targets]
        if not others or not errors > 0.0:
            return not_applicable(self, "its terms are all of one kind")
        worst = max(others, key=lambda term: term.norm)
        ratio = worst.norm / errors
        seen = f"a term without targets brings {number(ratio)} times the gradient of those with"
        if ratio < self.max_ratio:
            return passed(self, seen, ratio)
        said = finding(
            self,
            f"Of the {len(terms)} terms of the loss, one that knows no targets (it ends in a "
            f"{worst.name}) brings a gradient of norm {number(worst.norm)}, {number(ratio)} times that of "
            f"the terms with targets, expected a fraction of it. Divide its weight by {number(ratio)}.",
            evidence={
                "ratio": ratio,
                "term": worst.name,
                "norm": worst.norm,
                "targets_norm": errors,
            },
        )
        return failed(self, seen, ratio, findings=[said])
