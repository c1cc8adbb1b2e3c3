"""A model that is being trained is put into evaluation mode and never back.

## What it sees
`model.eval()` in a training loop, or in a function it calls, with no `model.train()` in the loop;
or `model.eval()` before a loop that trains the model.

## Why it matters
From then on dropout is off and batch normalisation uses running statistics that no longer move.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(10):
        for x, y in loader:
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            score = model(held_out).mean()

## Use instead
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(10):
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            score = model(held_out).mean()

## What to do
Call `model.train()` at the start of every epoch, or right after every evaluation.

## Source
PyTorch documentation, `torch.nn.Module.eval` and "Autograd mechanics: evaluation mode".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.events import Event, Loop, Trace
from steadytrain.lint._code.scopes import FUNCTIONS


@lint_check(code="LOP109", causes=("eval-mode-in-training", "batchnorm-running-stats"))
def check(code: Code) -> Iterator[Remark]:
    """Say where training goes on in evaluation mode."""
    trained = _trained(code)
    for trace, loop, events in code.loops:
        if isinstance(loop.node, FUNCTIONS):
            continue
        backward = [event for event in events if event.kind == "backward" and not event.no_grad]
        if not backward or any(event.kind == "unknown" for event in events):
            continue
        for event in _evals(trace, loop, events, backward):
            if event.target in trained and not _undone(event, events):
                yield Remark(
                    node=event.node,
                    message="The model stays in evaluation mode while it is trained: no dropout, "
                    "frozen batch statistics. Call model.train() before training goes on.",
                )


def _is_entry(loop: Loop) -> bool:
    """Whether it stands for a function that nobody in the file calls."""
    return isinstance(loop.node, FUNCTIONS)


def _evals(trace: Trace, loop: Loop, events: list[Event], backward: list[Event]) -> Iterator[Event]:
    """Calls of `eval` after which the loop trains: in it, or straight before it."""
    yield from (e for e in events if e.kind == "eval" and e.meets(backward[0]))
    if loop.outer is None or _is_entry(loop.outer):
        first = events[0].place
        modes: dict[str, Event] = {}
        for event in trace.events:
            if event.place < first and event.kind in ("train", "eval") and event.loop is loop.outer:
                modes[event.target] = event
        yield from (e for e in modes.values() if e.kind == "eval" and not e.path)


def _undone(event: Event, events: list[Event]) -> bool:
    """Whether the mode is put back in the loop, before or after: it passes again."""
    return any(
        (one.kind == "train" and (one.target == event.target or not one.target))
        or (one.kind == "train" and _prefix(one.target, event.target))
        for one in events
    )


def _prefix(first: str, second: str) -> bool:
    return bool(first and second) and (first.startswith(second) or second.startswith(first))


def _trained(code: Code) -> set[str]:
    """Keys of the models whose parameters an optimizer was given."""
    found: set[str] = set()
    for call in code.index.of(ast.Call):
        if not isinstance(call, ast.Call):
            continue
        frame = code.frame(call)
        kind = code.kinds.of(call, frame)
        if (
            kind is None
            or kind.name != "optimizer"
            or kind.call is None
            or kind.call.expr is not call
        ):
            continue
        for node in [call, *(one.expr for one in _named(code, call))]:
            found |= {
                code.values.key(inner.value, code.frame(call))
                for inner in ast.walk(node)
                if isinstance(inner, ast.Attribute)
                and inner.attr in ("parameters", "named_parameters", "trainable_parameters")
            }
    return found - {""}


def _named(code: Code, call: ast.Call):
    for argument in call.args[:1]:
        value = code.values.assigned(argument, code.frame(call))
        if value is not None:
            yield value
