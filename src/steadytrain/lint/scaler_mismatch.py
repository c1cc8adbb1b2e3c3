"""A loss scaler is used in one half of the step and not in the other.

## What it sees
`scaler.scale(loss).backward()` followed by `optimizer.step()` with no `unscale_`; or a bare
`loss.backward()` followed by `scaler.step(optimizer)`.

## Why it matters
The optimizer steps with gradients that are 65,536 times too large, or that many times too small.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cuda")
    for x, y in loader:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        scaler.step(optimizer)
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
Use the scaler in both halves: `scaler.scale(loss).backward()` and `scaler.step(optimizer)`.

## Source
PyTorch documentation, "Automatic Mixed Precision examples".
"""

from __future__ import annotations

from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.events import Event

_ENDS = ("unscale", "unknown", "grad")


@lint_check(code="PRE104", causes=("unscale-order", "fp16-underflow"), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where only half of the step is scaled."""
    for trace in code.traces:
        open_: list[Event] = []
        for event in trace.events:
            if event.kind == "backward" and not event.owner:
                open_ = [event] if not open_ else [*open_, event]
            elif event.kind in _ENDS:
                # Unscaling what was never scaled does not put it right.
                kept = event.kind == "unscale" and not any(one.scaled for one in open_)
                open_ = open_ if kept else []
            elif event.kind == "step" and not event.owner and open_:
                met = [one for one in open_ if one.meets(event) and one.loop is event.loop]
                if (
                    met
                    and all(bool(one.scaled) != bool(event.scaled) for one in met)
                    and all(one.path <= event.path or event.path <= one.path for one in met)
                ):
                    yield Remark(node=event.node, message=_message(event))
                open_ = [one for one in open_ if not one.meets(event)]


def _message(step: Event) -> str:
    if step.scaled:
        return (
            "The scaler divides gradients that it never scaled. Backpropagate "
            "scaler.scale(loss) instead of the loss."
        )
    return (
        "The optimizer steps with gradients that still have the loss scale in them. Call "
        "scaler.step(optimizer) instead."
    )
