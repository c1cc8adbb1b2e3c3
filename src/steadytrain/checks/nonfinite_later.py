"""A later batch makes the forward pass overflow or divide by zero.

## What it does
Runs forward over up to 256 batches on a copy and finds the first module whose output is not finite
while its inputs are; notes the largest float16 value on the way, and backward where a root is taken
of exactly zero.

## Why it matters
One such batch ends the run: its NaN reaches batch norm's running statistics even where the step is
skipped, and all weights where it is not.

## Passes when
Every output and loss is finite, and so is the gradient where a root of zero was taken.

## Fails when
A module turns finite inputs into NaN or infinity, in any of the batches; or a root of
zero, whose slope is infinite, does so to the gradient.

## What to do
Where float16 is computed with: take squares, norms and sums in float32. Elsewhere: look for a
logarithm, root, division or exponential in the module that is named.

## Source
Micikevicius et al. 2018, section 3.3: what accumulates in float16 overflows at 65,504.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from steadytrain.checks._batches import cloned
from steadytrain.checks._naming import number
from steadytrain.checks._scene import Scene
from steadytrain.checks._several import several
from steadytrain.checks._sweep import batches_are_finite, sweep_of
from steadytrain.checks._watched import Sweep, all_finite
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Severity

_OPERATIONS = ("div-by-zero", "log-of-zero", "exp-overflow", "sqrt-zero-grad")
_BY_KIND = {
    "half": ("fp16-overflow",),
    "exp": ("exp-overflow",),
    "log": ("log-of-zero",),
    "div": ("div-by-zero",),
    "sqrt": ("sqrt-zero-grad", "div-by-zero"),
    "product": ("exp-overflow",),
}


_ROOTS = 3
"""Batches with a root of zero whose gradient is computed."""


@check(code="PRE251", causes=("fp16-overflow", *_OPERATIONS), stage="precision")
@dataclass(frozen=True, slots=True, kw_only=True)
class NonfiniteLater:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        if not batches_are_finite(scene.once(several)):
            return not_applicable(self, "the data themselves are not finite")
        sweep = scene.once(sweep_of)
        bad = [place for place, loss in enumerate(sweep.losses) if not math.isfinite(loss)]
        half = f", float16 up to {number(sweep.largest_half)}" if sweep.halves else ""
        if sweep.broken is None and not bad:
            root = _without_slope(scene, sweep)
            if root is not None:
                return self._root(root)
            return passed(self, f"{sweep.num_batches} batches are finite{half}", 0)
        return self._broken(sweep, bad, half)

    def _root(self, place: int) -> Answer:
        said = finding(
            self,
            f"In batch {place + 1} a root is taken of exactly zero: the loss is finite, and its "
            "gradient is NaN or infinite. Add an epsilon inside the root, or use the square.",
            severity=Severity.CRITICAL,
            causes=("sqrt-zero-grad",),
            evidence={"batch": place},
        )
        return failed(
            self, f"the gradient of batch {place + 1} is not finite", place, findings=[said]
        )

    def _broken(self, sweep: Sweep, bad: list[int], half: str) -> Answer:
        place, path = sweep.broken or (bad[0], "")
        seen = f"batch {place + 1} is not finite{half}"
        return failed(
            self,
            seen,
            place,
            findings=[
                finding(
                    self,
                    f"In batch {place + 1} {path or 'the loss'} turns finite inputs into NaN or "
                    f"infinity{half}. Compute norms and sums in float32, and guard logarithms, roots "
                    "and divisions there.",
                    severity=Severity.CRITICAL,
                    site=path or None,
                    causes=_causes(sweep, place),
                    evidence={"batch": place, "largest_float16": sweep.largest_half},
                )
            ],
        )


def _without_slope(scene: Scene, sweep: Sweep) -> int | None:
    """The first batch in which the slope of a root of zero makes the gradient NaN or infinite."""
    batches = scene.once(several)
    with scene.trial() as trial:
        for place in sweep.roots[:_ROOTS]:
            trial.model.zero_grad(set_to_none=True)
            try:
                trial.loss(cloned(batches[place])).backward()
            except Exception:  # the user's code; other checks say what it raises
                return None
            if not all_finite([one.grad for one in trial.model.parameters()]):
                return place
    return None


def _causes(sweep: Sweep, place: int) -> tuple[str, ...]:
    """Of the operation that broke first in that batch, and then the others."""
    if any(one.batch == place for one in sweep.empty):
        return ("fully-masked-row",)
    if any(batch == place and lack > 0 for batch, lack in sweep.lacks):
        return ("infeasible-target",)
    batch, kind = sweep.operation or (-1, "")
    first = _BY_KIND.get(kind, ()) if batch == place else ()
    return (*first, *(one for one in _OPERATIONS if one not in first))
