"""A square root of a sum or variance that can be zero.

## What it sees
`torch.sqrt` of a sum of squares, a variance, or a mean-squared error, with nothing added or clamped.

## Why it matters
At zero the root has an infinite slope: the gradient is NaN although the value is right.

## Flagged
    import torch
    distance = torch.sqrt(((a - b) ** 2).sum(dim=-1))

## Use instead
    import torch
    distance = torch.sqrt(((a - b) ** 2).sum(dim=-1) + 1e-12)

## What to do
Add a small number inside the root.

## Source
d/dx sqrt(x) = 1 / (2 sqrt(x)).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.objectives import loss_calls

_REDUCE: Final = {"sum", "mean", "var"}


@lint_check(code="NUM103", causes=("sqrt-zero-grad",), severity=Severity.NOTE)
def check(code: Code) -> Iterator[Remark]:
    """Say where a root can have an infinite slope."""
    losses = {call for name, call in loss_calls(code) if name == "MSELoss"}
    for call in code.index.of(ast.Call):
        assert isinstance(call, ast.Call)
        inner = _rooted(code, call)
        if (
            inner is not None
            and not code.without_gradient(call)
            and _can_be_zero(code, inner, losses)
        ):
            yield Remark(
                node=call,
                message="At zero this root has an infinite gradient. Add a small number inside it, such "
                "as 1e-12.",
            )


def _rooted(code: Code, call: ast.Call) -> ast.expr | None:
    name = code.values.resolve(call.func)
    if name == "torch.sqrt" and call.args:
        return call.args[0]
    if (
        name is None
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "sqrt"
        and not call.args
    ):
        return call.func.value
    return None


def _can_be_zero(code: Code, inner: ast.expr, losses: set[ast.Call]) -> bool:
    if not isinstance(inner, ast.Call):
        return False
    if inner in losses:
        return True
    name = code.values.resolve(inner.func)
    if name in ("torch.sum", "torch.mean") and inner.args:
        return _is_square(code, inner.args[0])
    if name is None and isinstance(inner.func, ast.Attribute) and inner.func.attr in _REDUCE:
        return inner.func.attr == "var" or _is_square(code, inner.func.value)
    return name == "torch.var"


def _is_square(code: Code, node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return code.number(node.right) == 2
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        power = node.func.attr == "pow" and bool(node.args) and code.number(node.args[-1]) == 2
        return power or node.func.attr == "square"
    return False
