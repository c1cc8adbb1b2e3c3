"""The learning-rate schedule steps before the optimizer has.

## What it sees
In one pass of a loop, a scheduler's `step()` before the first step of the optimizer.

## Why it matters
The first rate of the schedule is skipped: a warm-up begins one step late, a decay one epoch early.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=30)
    for epoch in range(90):
        scheduler.step()
        for x, y in loader:
            optimizer.zero_grad()
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
            optimizer.step()

## Use instead
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=30)
    for epoch in range(90):
        for x, y in loader:
            optimizer.zero_grad()
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
            optimizer.step()
        scheduler.step()

## What to do
Step the scheduler after the optimizer, at the end of the batch or of the epoch it counts.

## Source
PyTorch documentation, "How to adjust learning rate": since 1.1.0 the scheduler steps after.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.events import Event, Loop


@lint_check(code="OPT102", causes=("lr-schedule-wrong", "step-order"))
def check(code: Code) -> Iterator[Remark]:
    """Say where the schedule runs ahead of the optimizer."""
    for _, loop, events in code.loops:
        for event in events:
            if event.kind == "schedule" and event.loop is loop and _is_ahead(event, loop, events):
                yield Remark(
                    node=event.node,
                    message="The scheduler steps before the optimizer, so its first rate is never "
                    "used. Step it after optimizer.step().",
                )


def _is_ahead(schedule: Event, loop: Loop, events: list[Event]) -> bool:
    if not isinstance(schedule.node, ast.Call) or schedule.path - loop.path or schedule.node.args:
        return False
    around = [e for e in events if e.kind in ("step", "unknown", "backward") and e.meets(schedule)]
    before = [e for e in around if e.place < schedule.place]
    after = [e for e in around if e.place > schedule.place]
    # A step under a condition is one of a window, and a schedule by microbatch another matter.
    steps = [
        e for e in after if e.kind == "step" and (e.loop is not loop or not e.path - loop.path)
    ]
    return not before or all(e.kind == "backward" for e in before) if steps else False
