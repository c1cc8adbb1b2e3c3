"""A loss scaler steps but is never updated.

## What it sees
A loop with `scaler.step(optimizer)` and no `scaler.update()`, in it or in what it calls.

## Why it matters
The scale never moves and the record of overflows is never cleared: after the first overflow every
step is skipped, or `unscale_` raises.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cuda")
    for x, y in loader:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        scaler.scale(loss).backward()
        scaler.step(optimizer)

## Use instead
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cuda")
    for x, y in loader:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

## What to do
Call `scaler.update()` once per step, after the last `scaler.step`.

## Source
PyTorch documentation, `torch.amp.GradScaler`.
"""

from __future__ import annotations

from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code


@lint_check(
    code="PRE103", causes=("loss-scale-collapse", "fp16-underflow"), severity=Severity.CRITICAL
)
def check(code: Code) -> Iterator[Remark]:
    """Say where the scale cannot move."""
    for trace, loop, events in code.loops:
        steps = [e for e in events if e.kind == "step" and e.scaled and e.loop is loop]
        if steps and not any(e.kind in ("update", "unknown") for e in trace.events):
            yield Remark(
                node=steps[-1].node,
                message="The scaler steps but is never updated: its scale cannot move and overflows are "
                "not cleared. Call scaler.update() after the step.",
            )
