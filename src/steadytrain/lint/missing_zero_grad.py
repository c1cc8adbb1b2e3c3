"""Gradients of earlier steps are never cleared.

## What it sees
A loop in which gradients are computed and the optimizer steps, and nothing between two steps
clears gradients: not in the loop, not in the functions it calls, or only before the loop.

## Why it matters
PyTorch adds to `.grad`. Without clearing, every step follows the sum of all gradients so far.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
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
Call `optimizer.zero_grad()` once per optimizer step, before the backward pass or after the step.

## Source
PyTorch documentation, `torch.optim`, "Taking an optimization step".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.events import Event, Loop
from steadytrain.lint._code.losses import unscaled
from steadytrain.lint._code.scopes import FUNCTIONS

_CLEARS = ("zero", "unknown")


@lint_check(code="LOP101", causes=("missing-zero-grad",), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where steps follow each other without gradients being cleared."""
    for _, loop, events in code.loops:
        if isinstance(loop.node, FUNCTIONS) and not _is_called_again(code, loop, events):
            continue
        for event in events:
            if (
                event.kind == "step"
                and not event.owner
                and _innermost(event, loop, events)
                and not _cleared(code, event, events)
            ):
                yield Remark(node=event.node, message=_message(code))


def _cleared(code: Code, step: Event, events: list[Event]) -> bool:
    """Whether something in the loop clears gradients, or may."""
    return any(
        event.kind in _CLEARS and not _of_another(code, event, step) for event in events
    ) or any(event.kind == "grad" for event in events)


def _of_another(code: Code, cleared: Event, stepped: Event) -> bool:
    """Whether both are optimizers that are known to be two: they share no gradients as a rule."""
    first, second = _made(code, cleared), _made(code, stepped)
    return first is not None and second is not None and first is not second


def _made(code: Code, event: Event) -> ast.expr | None:
    """The call that built the optimizer of the event, where that is known."""
    func = getattr(event.node, "func", None)
    given = getattr(event.node, "args", None)
    expr = given[0] if event.scaled and given else getattr(func, "value", None)
    kind = code.kinds.of(expr, event.frame) if isinstance(expr, ast.expr) else None
    if kind is None or kind.name != "optimizer" or kind.call is None:
        return None
    return kind.call.expr


def _innermost(step: Event, loop: Loop, events: list[Event]) -> bool:
    """Whether the loop is the smallest that has the step and a backward that it can use."""
    inner = step.loop
    while inner is not None and inner is not loop:
        if any(e.kind == "backward" and e.in_loop(inner) for e in events):
            return False
        inner = inner.outer
    return any(e.kind == "backward" and e.owner != "engine" and e.meets(step) for e in events)


def _is_called_again(code: Code, loop: Loop, events: list[Event]) -> bool:
    """Whether a function without a loop is one step of a training that stands elsewhere."""
    name = getattr(loop.node, "name", "")
    if name.startswith("test") or code.has("zero_grad") or any(e.kind == "unknown" for e in events):
        return False
    if any(event.kind == "backward" and _is_given(code, event) for event in events):
        return False
    steps = [event for event in events if event.kind == "step"]
    return all(_from_outside(code, step) for step in steps)


def _is_given(code: Code, backward: Event) -> bool:
    """Whether the loss itself is a parameter: then the caller has the loop and its clearing."""
    func = getattr(backward.node, "func", None)
    if not isinstance(func, ast.Attribute):
        return True
    given = getattr(backward.node, "args", [])
    loss = given[0] if backward.owner and given else unscaled(func.value)
    found = code.values.candidates(loss, backward.frame)
    return any(one.binding.how == "arg" for one in found)


def _from_outside(code: Code, step: Event) -> bool:
    """Whether the optimizer is an attribute or parameter, so that it outlives the call."""
    call = step.node
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
        return False
    root = code.values.root(call.func.value, step.frame)
    if isinstance(root.expr, ast.Attribute):
        return True
    found = code.values.candidates(root.expr, root.frame)
    return bool(found) and all(
        one.binding.how == "arg" or _is_lightnings(one.binding.value) for one in found
    )


def _is_lightnings(value: ast.expr | None) -> bool:
    """Whether it is what `self.optimizers()` gives, which outlives the call too."""
    return isinstance(value, ast.Call) and getattr(value.func, "attr", "") == "optimizers"


def _message(code: Code) -> str:
    before = "it is cleared before the loop only" if code.has("zero_grad") else "nothing clears it"
    return (
        f"Gradients add up from step to step: {before}. Call optimizer.zero_grad() once per step, "
        "inside the loop."
    )
