"""Gradients are clipped while the loss scale is still in them.

## What it sees
A backward pass of a scaled loss followed by a clip, with no `scaler.unscale_(optimizer)` between.

## Why it matters
The scale is thousands: every gradient exceeds the threshold, so every step is clipped to a tiny
one, and the length of the step depends on the scaler's luck.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cuda")
    for x, y in loader:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        scaler.scale(loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
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
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()

## What to do
Call `scaler.unscale_(optimizer)` before the clip; `scaler.step` knows that it was done.

## Source
PyTorch documentation, "Automatic Mixed Precision examples", gradient clipping; Lightning issues
9330 and 9599 are the same defect.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.events import Event


@lint_check(code="PRE101", causes=("unscale-order", "clip-too-tight"), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where a clip sees scaled gradients."""
    for trace in code.traces:
        scaled: Event | None = None
        for event in trace.events:
            if event.kind == "backward" and (event.scaled or _scales(code, event)):
                scaled = event
            elif event.kind in ("unscale", "step", "update", "unknown", "grad"):
                scaled = None if scaled is None or event.meets(scaled) else scaled
            elif (
                event.kind == "clip"
                and not event.owner
                and scaled is not None
                and event.meets(scaled)
            ):
                yield Remark(
                    node=event.node,
                    message="Gradients are clipped while the loss scale is still in them. Call "
                    "scaler.unscale_(optimizer) before the clip.",
                )


def _scales(code: Code, event: Event) -> bool:
    """Whether `accelerator.backward` or `fabric.backward` scales the loss for float16."""
    func = getattr(event.node, "func", None)
    if event.owner not in ("accelerator", "fabric") or not isinstance(func, ast.Attribute):
        return False
    kind = code.kinds.of(func.value, event.frame)
    made = kind.call.expr if kind is not None and kind.call is not None else None
    if not isinstance(made, ast.Call):
        return False
    given = code.keyword(made, "mixed_precision") or code.keyword(made, "precision")
    return isinstance(given, ast.Constant) and str(given.value) in ("fp16", "16-mixed", "16")
