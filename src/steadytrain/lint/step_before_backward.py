"""The optimizer steps before there are gradients.

## What it sees
In one pass of a loop, gradients are cleared, the optimizer steps, and only then the backward pass
runs, whose gradients the next pass clears.

## Why it matters
Every step finds cleared gradients and changes nothing; nothing raises.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        optimizer.step()
        loss.backward()

## Use instead
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()

## What to do
Keep the order zero_grad, forward, backward, step.

## Source
PyTorch documentation, `torch.optim`, "Taking an optimization step".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.events import Event, Loop

_USES: Final = ("backward", "step", "zero", "unknown", "grad")


@lint_check(
    code="LOP130", causes=("step-order", "missing-optimizer-step"), severity=Severity.CRITICAL
)
def check(code: Code) -> Iterator[Remark]:
    """Say where the step comes first."""
    for _, loop, events in code.loops:
        for event in events:
            if (
                event.kind == "step"
                and event.loop is loop
                and not event.owner
                and _is_first(event, loop, events)
            ):
                yield Remark(
                    node=event.node,
                    message="The optimizer steps right after its gradients were cleared and before "
                    "the backward pass: it changes nothing. Step after loss.backward().",
                )


def _is_first(step: Event, loop: Loop, events: list[Event]) -> bool:
    around = [e for e in events if e.kind in _USES and e.meets(step) and e.loop is loop]
    if len(around) != len([e for e in events if e.kind in _USES and e.meets(step)]):
        return False
    before = [e for e in around if e.place < step.place]
    after = [e for e in around if e.place > step.place]
    cleared = bool(before) and before[-1].kind == "zero" and before[-1].target in (step.target, "")
    backward = [e for e in around if e.kind == "backward"]
    return cleared and bool(after) and after[0].kind == "backward" and backward[0] is after[0]
