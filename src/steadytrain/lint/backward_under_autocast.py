"""A backward pass inside of autocast.

## What it sees
`backward()` in a `with autocast(...)` block.

## Why it matters
Backward operations run in the type that autocast chose for their forward ones anyway; inside, what
is recomputed or computed by hooks may be cast a second time.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = ((model(x) - y) ** 2).mean()
            loss.backward()
        optimizer.step()

## Use instead
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()

## What to do
End the block after the loss.

## Source
PyTorch documentation, `torch.autocast`: backward passes under autocast are not recommended.
"""

from __future__ import annotations

from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code


@lint_check(code="PRE105", causes=("fp16-underflow",), severity=Severity.NOTE)
def check(code: Code) -> Iterator[Remark]:
    """Say where autocast lasts too long."""
    for trace in code.traces:
        for event in trace.events:
            if event.kind == "backward" and event.autocast and not event.owner:
                yield Remark(
                    node=event.node,
                    message="The backward pass stands inside autocast. End the block after the loss.",
                )
