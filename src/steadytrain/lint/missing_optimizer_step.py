"""Gradients are computed and cleared, but the optimizer never steps.

## What it sees
A loop that clears an optimizer's gradients and runs backward passes, in a file where nothing
steps that optimizer and no code that cannot be seen is given it.

## Why it matters
The weights stay as they were initialised; the loss moves only by chance.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
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
Call `optimizer.step()` after the backward pass, or `scaler.step(optimizer)` with a loss scaler.

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
from steadytrain.lint._code.scopes import FUNCTIONS

_STEPS = ("step", "unknown", "grad")


@lint_check(code="LOP103", causes=("missing-optimizer-step",), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where the step is missing."""
    for trace, loop, events in code.loops:
        if any(event.kind in _STEPS for event in trace.events):
            continue
        backward = [event for event in events if event.kind == "backward"]
        zeros = [e for e in events if e.kind == "zero" and _is_optimizer(code, e)]
        if (
            _is_outermost(loop)
            and backward
            and zeros
            and not code.has("optimizer_step")
            and not any(event.owner for event in backward)
            and not _stepped_elsewhere(code)
        ):
            yield Remark(
                node=backward[-1].node,
                message="Gradients are computed and cleared, but nothing steps the optimizer: "
                "the weights never change. Call optimizer.step() after the backward pass.",
            )


def _is_outermost(loop: Loop) -> bool:
    """Whether it is a loop of the source, and no other is around it: a function may be one part."""
    return not isinstance(loop.node, FUNCTIONS) and (
        loop.outer is None or isinstance(loop.outer.node, FUNCTIONS)
    )


def _is_optimizer(code: Code, event: Event) -> bool:
    func = getattr(event.node, "func", None)
    if not isinstance(func, ast.Attribute) or func.attr != "zero_grad":
        return False
    return code.kinds.is_a("optimizer", func.value, event.frame)


def _stepped_elsewhere(code: Code) -> bool:
    """Whether something in the file is stepped that may be an optimizer."""
    return any(
        not code.kinds.is_a("scheduler", call.func.value, code.frame(call))
        for call in code.methods.get("step", ())
        if isinstance(call.func, ast.Attribute)
    )
