"""A loss is computed where no gradients are recorded, and then backpropagated.

## What it sees
A backward pass under `torch.no_grad()` or `inference_mode()`, or of a loss that was computed
under it; gradients switched off for good in a file that trains.

## Why it matters
There is no graph: the call raises, or, where only a part is under it, that part gets no gradient.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        with torch.no_grad():
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
Compute the loss outside of `no_grad`; keep `no_grad` for measurements and updates by hand.

## Source
PyTorch documentation, "Autograd mechanics: locally disabling gradient computation".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.losses import Backpropagated, backpropagated
from steadytrain.lint._code.objectives import loss_calls
from steadytrain.lint._code.values import Frame


@lint_check(code="LOP112", causes=("detached-graph",), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where there is no graph to go back through."""
    for one in backpropagated(code):
        if not one.returned and _under_no_grad(code, one.node):
            yield Remark(
                node=one.node,
                message="The backward pass stands under no_grad: nothing is recorded to go back "
                "through. Move the forward and backward pass out of it.",
            )
        elif _loss_under_no_grad(code, one) or _prediction_under_no_grad(code, one):
            yield Remark(
                node=one.node,
                message="What the loss is made of was computed under no_grad and has no graph. Compute it outside.",
            )
    yield from _switched_off(code)


def _under_no_grad(code: Code, node: ast.AST) -> bool:
    return code.without_gradient(node) and not _switchable(code, node)


def _switchable(code: Code, node: ast.AST) -> bool:
    """`set_grad_enabled(condition)` is gradients when training."""
    return any(
        "set_grad_enabled" in ast.unparse(item.context_expr)
        for outer in code.places.within(node, ast.With)
        if isinstance(outer, ast.With)
        for item in outer.items
    )


def _loss_under_no_grad(code: Code, one: Backpropagated) -> bool:
    found = code.values.candidates(one.loss.expr, one.loss.frame)
    if one.name is None or len(found) != 1 or found[0].binding.how != "assign":
        return False
    made = found[0].binding.node
    same = code.index.scope.get(made) is one.loss.frame.scope
    if found[0].binding.value is None or _leaf(found[0].binding.value):
        return False
    return same and _under_no_grad(code, made) and not code.without_gradient(one.node)


def _prediction_under_no_grad(code: Code, one: Backpropagated) -> bool:
    """Whether the model ran under no_grad and its output alone goes into the loss outside of it."""
    value = code.values.assigned(one.loss.expr, one.loss.frame)
    if value is None or value.frame.scope is not one.loss.frame.scope:
        return False
    if not isinstance(value.expr, ast.Call) or value.expr not in {
        call for _, call in loss_calls(code)
    }:
        return False
    frame, operands = value.frame, value.expr.args[:2]
    outputs = [made for node in operands if (made := _output(code, node, frame)) is not None]
    plain = all(isinstance(node, ast.Name) for node in operands)
    return plain and len(outputs) == 1 and _under_no_grad(code, outputs[0])


def _output(code: Code, node: ast.expr, frame: Frame) -> ast.expr | None:
    """The call of a module that `node` is or was assigned."""
    made = code.values.assigned(node, frame)
    expr = made.expr if made is not None and made.frame.scope is frame.scope else node
    is_call = isinstance(expr, ast.Call) and code.kinds.is_a("module", expr.func, frame)
    return expr if is_call else None


def _leaf(value: ast.expr) -> bool:
    """Whether what was made may have a graph all the same."""
    text = ast.unparse(value)
    return "requires_grad" in text or "Function" in text or "enable_grad" in text


def _switched_off(code: Code) -> Iterator[Remark]:
    calls = [call for call, name in code.calls if name.endswith("set_grad_enabled")]
    for call in calls:
        off = call.args and code.is_literal(call.args[0], value=False)
        alone = isinstance(code.index.parent[call], ast.Expr) and len(calls) == 1
        if off and alone and code.function_of(call) is None and any(backpropagated(code)):
            yield Remark(
                node=call,
                message="Gradients are switched off for the whole program, but it trains. Remove "
                "this line, or put measurements under torch.no_grad().",
            )
