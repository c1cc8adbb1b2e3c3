"""A softmax has a row in which everything is masked.

## What it does
Runs forward over up to 64 batches on a copy and looks at every softmax and every attention mask for
rows that are minus infinity, or hidden, throughout.

## Why it matters
Such a row is NaN, or attention over padding: NaN spreads to every weight at the next step. Short
texts padded at the beginning, and blank pictures, are rare, so that it happens in the middle of a
run.

## Passes when
Every row has something left.

## Fails when
One has not, in any of the batches.

## What to do
Let every query see itself, or mask with a large finite number and leave those rows out; or
`safe_attention`, which gives zeros for them.

## Source
PyTorch issue 41508, on attention that returns NaN for rows that are masked throughout.
"""

from __future__ import annotations

from dataclasses import dataclass

from steadytrain.checks._scene import Scene
from steadytrain.checks._sweep import sweep_of
from steadytrain.core.answer import Answer
from steadytrain.core.check import check, failed, finding, not_applicable, passed
from steadytrain.core.finding import Severity


@check(code="NUM250", causes=("fully-masked-row",), stage="start")
@dataclass(frozen=True, slots=True, kw_only=True)
class EmptyMaskRows:
    """Options of the check."""

    def judge(self, scene: Scene, /) -> Answer:
        sweep = scene.once(sweep_of)
        if not sweep.num_softmaxes:
            return not_applicable(self, "no softmax and no attention was seen")
        rows = sum(one.num_rows for one in sweep.empty)
        seen = f"{rows} empty rows in {sweep.num_batches} batches"
        if not sweep.empty:
            return passed(self, seen, 0)
        first = sweep.empty[0]
        return failed(
            self,
            seen,
            rows,
            findings=[
                finding(
                    self,
                    f"In batch {first.batch + 1} {first.num_rows} rows of a softmax in "
                    f"{first.path or 'the loss'} have nothing left to attend to, which gives NaN. Let "
                    "every query see itself, or leave those rows out.",
                    severity=Severity.CRITICAL,
                    site=first.path or None,
                    evidence={"batch": first.batch, "num_rows": rows},
                )
            ],
        )
