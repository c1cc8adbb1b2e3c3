"""Gradients are cleared at a moment when they are still needed.

## What it sees
`zero_grad` between the backward pass and the step that should use its gradients, or at every
microbatch while the optimizer steps only at some.

## Why it matters
The step then takes nothing, or the gradient of the last microbatch alone, and nothing raises.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.zero_grad()
        optimizer.step()

## Use instead
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

## What to do
Clear right after the step, under the same condition as the step, or before the first backward
pass of a window.

## Source
PyTorch documentation, "Automatic Mixed Precision examples", gradient accumulation.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.events import Event, Loop
from steadytrain.lint._code.windows import is_window, step_condition


@lint_check(code="LOP102", causes=("step-order", "missing-zero-grad"), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where gradients are thrown away before they were used."""
    for _, loop, events in code.loops:
        for event in events:
            if event.kind == "zero" and event.loop is loop and isinstance(event.node, ast.Call):
                if _between(code, event, events):
                    yield Remark(node=event.node, message=_BETWEEN)
                elif _each_microbatch(code, event, loop, events):
                    yield Remark(node=event.node, message=_EACH)


_BETWEEN = (
    "Gradients are cleared between the backward pass and the step that needs them: the step takes "
    "nothing. Call zero_grad() after the step, or before the backward pass."
)
_EACH = (
    "Gradients are cleared at every microbatch, but the optimizer steps only at some: all but the "
    "last are lost. Call zero_grad() where the optimizer steps."
)


def _between(code: Code, zero: Event, events: list[Event]) -> bool:
    """Whether a backward comes before it, and the step of that optimizer after it."""
    at = events.index(zero)
    before = [e for e in events[:at] if e.loop is zero.loop and e.meets(zero)]
    after = [e for e in events[at + 1 :] if e.loop is zero.loop and e.meets(zero)]
    last = next(
        (e for e in reversed(before) if e.kind in ("backward", "step", "unknown", "grad")), None
    )
    if last is None or last.kind != "backward" or not last.path >= zero.path:
        return False
    following = next((e for e in after if e.kind in ("backward", "step", "unknown", "grad")), None)
    return (
        following is not None
        and following.kind == "step"
        and not following.owner
        and following.path >= zero.path
        and (following.target == zero.target or _of_the_model(code, zero, events))
        and not _other_step_before(zero, events[:at])
    )


def _of_the_model(code: Code, zero: Event, events: list[Event]) -> bool:
    """Whether a model is cleared, in a loop that steps one optimizer only."""
    func = getattr(zero.node, "func", None)
    model = isinstance(func, ast.Attribute) and code.kinds.is_a("module", func.value, zero.frame)
    return model and len({event.target for event in events if event.kind == "step"}) == 1


def _other_step_before(zero: Event, before: list[Event]) -> bool:
    """Whether the backward was for an optimizer that has stepped, so that the clearing is for another."""
    return any(e.kind == "step" and e.target != zero.target and e.meets(zero) for e in before)


def _each_microbatch(code: Code, zero: Event, loop: Loop, events: list[Event]) -> bool:
    if not is_window(loop, events) or zero.path - loop.path:
        return False
    condition = step_condition(loop, events)
    whole = _of_the_model(code, zero, events)
    steps = [e for e in events if e.kind == "step" and (whole or e.target in ("", zero.target))]
    backward = next((e for e in events if e.kind == "backward"), None)
    return bool(steps and backward and zero.place < backward.place and condition)
