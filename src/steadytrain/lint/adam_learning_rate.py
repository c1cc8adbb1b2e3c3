"""A learning rate for Adam that belongs to another optimizer.

## What it sees
Adam and its kin on `model.parameters()` with a rate of 0.1 or more, and no schedule that sets it.

## Why it matters
Adam moves every weight by about the rate at every step, whatever the gradient: at 0.1 the
initialisation is gone after a few.

## Flagged
    import torch
    optimizer = torch.optim.Adam(model.parameters(), lr=0.5)

## Use instead
    import torch
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

## What to do
Start at 1e-3, or 3e-4 for transformers; `steadytrain.optim.lr_range_test` measures one.

## Source
Kingma and Ba 2015, section 2.1: the step is bounded by the rate; default 0.001.
"""

from __future__ import annotations

from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.optimized import optimizers

MAX_RATE = 0.1
SURELY = 0.5


@lint_check(code="OPT109", causes=("lr-too-high",))
def check(code: Code) -> Iterator[Remark]:
    """Say where Adam is given the rate of SGD."""
    if any("sched" in word.lower() or word.endswith("LR") for word in code.index.words):
        return
    for built in optimizers(code):
        name = code.values.resolve(built.call.func) or ""
        rate = code.number(code.keyword(built.call, "lr", 1))
        adam = name.startswith("torch.optim.") and "Adam" in name
        if adam and built.plain and rate is not None and not rate < MAX_RATE:
            yield Remark(
                node=built.call,
                message=f"Adam moves every weight by about {rate:g} at every step. Start at 1e-3, or "
                "3e-4 for transformers.",
                severity=Severity.WARNING if rate >= SURELY else Severity.NOTE,
            )
