"""Gradients are accumulated over microbatches, but the loss is not divided by their number.

## What it sees
A loop that runs a backward pass at every microbatch and steps at every n-th, where nothing on the
way from the loss function to `backward` divides or scales, and no gradient is scaled after it.

## Why it matters
The step is n times as long as that of the large batch it stands for: the learning rate is
silently multiplied, and clipping rules every step.

## Flagged
    import torch
    import torch.nn.functional as F
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for i, (x, y) in enumerate(loader):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        if (i + 1) % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()

## Use instead
    import torch
    import torch.nn.functional as F
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for i, (x, y) in enumerate(loader):
        loss = F.cross_entropy(model(x), y) / 4
        loss.backward()
        if (i + 1) % 4 == 0:
            optimizer.step()
            optimizer.zero_grad()

## What to do
Divide the loss by the number of microbatches, or better by the number of tokens or items of the
whole window: `steadytrain.optim.accumulate` does, the last window included.

## Source
PyTorch documentation, "Automatic Mixed Precision examples", gradient accumulation.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.events import Event
from steadytrain.lint._code.values import Frame, Value
from steadytrain.lint._code.windows import is_window

_SCALING = (ast.Div, ast.Mult)
_DIVIDES = {"div", "div_", "mul", "mul_", "true_divide", "sum"}


@lint_check(code="LOP106", causes=("accum-not-divided",))
def check(code: Code) -> Iterator[Remark]:
    """Say where an accumulated loss is not divided."""
    for _, loop, events in code.loops:
        if not is_window(loop, events) or any(e.kind in ("grad", "unknown") for e in events):
            continue
        for event in events:
            if event.kind == "backward" and not event.owner and _is_whole(code, event):
                yield Remark(
                    node=event.node,
                    message="The loss is accumulated over several backward passes per step without "
                    "being divided by their number: the step is that many times too long.",
                )


def _is_whole(code: Code, event: Event) -> bool:
    """Whether the loss is followed to a function of torch or a model with no scaling on the way."""
    call = event.node
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)):
        return False
    start = call.func.value
    if event.scaled and isinstance(start, ast.Call) and start.args:
        start = start.args[0]
    return _is_plain(code, Value(start, event.frame), 0)


def _is_plain(code: Code, value: Value, depth: int) -> bool:
    expr, frame = value.expr, value.frame
    if depth > 6 or any(_scales(node) for node in ast.walk(expr)):
        return False
    if isinstance(expr, ast.Call):
        return _known_call(code, expr, frame, depth)
    if isinstance(expr, ast.BinOp) and isinstance(expr.op, ast.Add | ast.Sub):
        return _is_plain(code, Value(expr.left, frame), depth + 1) and _is_plain(
            code, Value(expr.right, frame), depth + 1
        )
    if isinstance(expr, ast.Attribute) and expr.attr == "loss":
        return _is_plain(code, Value(expr.value, frame), depth + 1)
    found = code.values.candidates(expr, frame)
    return bool(found) and all(
        one.binding.how in ("assign", "unpack")
        and one.binding.value is not None
        and not isinstance(one.binding.node, ast.AugAssign)
        and _is_plain(code, Value(one.binding.value, one.frame), depth + 1)
        for one in found
    )


def _known_call(code: Code, call: ast.Call, frame: Frame, depth: int) -> bool:
    if isinstance(call.func, ast.Attribute) and call.func.attr in ("mean", "squeeze"):
        return True
    kind = code.kinds.of(call.func, frame)
    if kind is not None and kind.name in ("loss", "module"):
        return True
    name = code.values.resolve(call.func)
    if name is not None:
        return name.startswith("torch.nn.functional.")
    returned = code.kinds.returned(call, frame)
    return bool(returned) and all(_is_plain(code, one, depth + 1) for one in returned)


def _scales(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp | ast.AugAssign):
        return isinstance(node.op, _SCALING)
    return isinstance(node, ast.Call) and getattr(node.func, "attr", "") in _DIVIDES
