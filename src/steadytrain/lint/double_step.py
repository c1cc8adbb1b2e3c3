"""The optimizer steps twice on the same gradients.

## What it sees
Two steps of one optimizer with no backward pass between them, in one pass of a loop:
`scaler.step(optimizer)` followed by `optimizer.step()` above all.

## Why it matters
The second step goes the same way again, past what the learning rate allows; with a loss scaler it
also takes the step that the scaler had refused because of an overflow.

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
        optimizer.step()
        scaler.update()

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
Keep one step per backward pass; with a scaler, `scaler.step(optimizer)` is that step.

## Source
PyTorch documentation, "Automatic Mixed Precision examples".
"""

from __future__ import annotations

from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.events import Event

_NEW = ("backward", "unknown", "grad", "zero")


@lint_check(code="LOP105", causes=("step-order", "lr-too-high"))
def check(code: Code) -> Iterator[Remark]:
    """Say where one optimizer steps again without new gradients."""
    for trace in code.traces:
        last: list[Event] = []
        for event in trace.events:
            if event.kind in _NEW:
                last = [one for one in last if not event.meets(one)]
            elif event.kind == "step" and event.target and not event.owner:
                if any(_again(one, event) for one in last):
                    yield Remark(
                        node=event.node,
                        message="The optimizer steps again on gradients it has used already. Take one "
                        "step per backward pass; with a scaler, scaler.step(optimizer) is that step.",
                    )
                last.append(event)


def _again(first: Event, event: Event) -> bool:
    return (
        first.target == event.target
        and first.loop is event.loop
        and first.loop is not None
        and first.node is not event.node
        and first.meets(event)
        and (event.path >= first.path or first.path >= event.path)
    )
