"""What is backpropagated has lost its graph.

## What it sees
A loss that went through `.item()`, `.detach()`, `.data`, `.numpy()` or `torch.tensor(...)` before
it is backpropagated, `requires_grad` set on it afterwards or not.

## Why it matters
`requires_grad=True` on a copy silences the error and nothing else: the model gets no gradient.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss = torch.tensor(loss.item(), requires_grad=True)
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
Backpropagate the tensor that the loss function gave. Where it "does not require grad", look for
what cut the graph before it: an argmax, a `.detach()`, a `no_grad`, a frozen model.

## Source
PyTorch documentation, `torch.tensor`: it reads the data and makes a leaf without history.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.losses import backpropagated, is_cut, unscaled
from steadytrain.lint._code.values import Value

_COPIES: Final = {"torch.tensor", "torch.FloatTensor", "torch.from_numpy", "torch.autograd.Variable",
                  "torch.as_tensor", "torch.Tensor", "numpy.mean"}  # fmt: skip


@lint_check(code="LOP113", causes=("detached-graph",), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where a loss without a graph is backpropagated."""
    for one in backpropagated(code):
        cut = _cut(code, Value(unscaled(one.loss.expr), one.loss.frame), 0)
        if cut is not None:
            yield Remark(
                node=cut,
                message=f"The loss loses its graph in {_short(cut)} and is backpropagated after: "
                "the model gets no gradient. Backpropagate the tensor itself.",
            )
    yield from _forced(code)


def _cut(code: Code, value: Value, depth: int) -> ast.expr | None:
    """The expression that takes the graph of the loss, where every way to it has one."""
    expr = value.expr
    if is_cut(code, expr):
        return expr
    if isinstance(expr, ast.Call):
        name = code.values.resolve(expr.func)
        if name in _COPIES and expr.args and not isinstance(expr.args[0], ast.List | ast.Constant):
            plain = name != "torch.autograd.Variable" or is_cut(code, expr.args[0])
            return expr if plain else None
        return None
    if isinstance(expr, ast.BinOp) and isinstance(expr.op, ast.Div | ast.Mult):
        return _cut(code, Value(expr.left, value.frame), depth + 1) if depth < 4 else None
    found = code.values.candidates(expr, value.frame) if depth < 4 else []
    cuts = [
        _cut(code, Value(one.binding.value, one.frame), depth + 1)
        for one in found
        if one.binding.how == "assign" and one.binding.value is not None
        if one.frame.scope is value.frame.scope
    ]
    return (
        cuts[0]
        if cuts and len(cuts) == len(found) and all(cut is not None for cut in cuts)
        else None
    )


def _forced(code: Code) -> Iterator[Remark]:
    """`loss.requires_grad = True`: only a tensor without a graph can be told so."""
    names = {(one.loss.frame.scope, one.name) for one in backpropagated(code) if one.name}
    for node in [*code.index.of(ast.Assign), *code.methods.get("requires_grad_", ())]:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "func", None)
        if not isinstance(target, ast.Attribute) or not isinstance(target.value, ast.Name):
            continue
        if (
            target.attr in ("requires_grad", "requires_grad_")
            and "loss" in target.value.id.lower()
            and (code.index.scope[node], target.value.id) in names
        ):
            yield Remark(
                node=node,
                message="requires_grad is set on the loss itself: it had no graph, and this only "
                "silences the error. Find what cut the graph before the loss.",
            )


def _short(node: ast.AST) -> str:
    text = ast.unparse(node)
    return text if len(text) <= 40 else f"{text[:37]}..."
