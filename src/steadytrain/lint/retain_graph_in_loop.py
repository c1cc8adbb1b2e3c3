"""The graph is kept after the last backward pass of every step.

## What it sees
`backward(retain_graph=True)` in a loop with no further backward pass behind it in the same pass.

## Why it matters
The flag is mostly there to silence "backward through the graph a second time": something of the
last step, a hidden state or a running sum, still hangs on its graph. The graph then grows with
every step.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward(retain_graph=True)
        optimizer.step()

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
Remove the flag. If an error follows, detach what is carried from step to step:
`hidden = hidden.detach()`.

## Source
PyTorch documentation, `torch.Tensor.backward`: in nearly all cases the flag is not needed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.events import Event, Loop
from steadytrain.lint._code.scopes import FUNCTIONS


@lint_check(code="LOP108", causes=("graph-retained",))
def check(code: Code) -> Iterator[Remark]:
    """Say where a graph is kept that nothing needs."""
    for _, loop, events in code.loops:
        if isinstance(loop.node, FUNCTIONS):
            continue
        for event in events:
            if event.loop is loop and _keeps(code, event) and not _needed(event, loop, events):
                yield Remark(
                    node=event.node,
                    message="retain_graph=True keeps the graph of a step that is over. Remove it, "
                    "and detach what is carried from step to step.",
                )


def _keeps(code: Code, event: Event) -> bool:
    if event.kind != "backward" or not isinstance(event.node, ast.Call):
        return False
    kept = code.is_literal(code.keyword(event.node, "retain_graph"), value=True)
    return kept and not code.is_literal(code.keyword(event.node, "create_graph"), value=True)


def _needed(event: Event, loop: Loop, events: list[Event]) -> bool:
    """Whether another backward pass, or a gradient by hand, follows in the same pass."""
    others = [e for e in events if e.kind in ("backward", "grad", "unknown") and e is not event]
    later = [e for e in others if e.place > event.place or e.kind != "backward"]
    # A loop within this one over parts of one graph passes several times.
    return bool(later) or any(e.loop is not loop for e in others) or _is_inner(event)


def _is_inner(event: Event) -> bool:
    """Whether the loop goes over the outputs of one forward pass: it steps outside."""
    loop = event.loop
    return (
        loop is not None
        and loop.outer is not None
        and "loss" in ast.unparse(getattr(loop.node, "iter", loop.node)).partition("\n")[0]
    )
