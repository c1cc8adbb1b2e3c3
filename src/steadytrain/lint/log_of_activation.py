"""A logarithm of something that reaches zero, where PyTorch has the two in one.

## What it sees
`log(softmax(x))`, `log(sigmoid(x))`, `log(sum(exp(x)))` and `log(1 + exp(x))`, also through a name.

## Why it matters
The inner value underflows to zero or overflows to infinity, and the logarithm or its gradient is
infinite; the combined function is exact over the whole range.

## Flagged
    import torch
    logp = torch.log(torch.softmax(x, dim=-1))

## Use instead
    import torch
    logp = torch.log_softmax(x, dim=-1)

## What to do
Use `log_softmax`, `F.logsigmoid`, `torch.logsumexp` or `F.softplus`.

## Source
Blanchard, Higham and Higham 2021, "Accurately computing the log-sum-exp and softmax functions".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.values import Frame


@lint_check(code="NUM101", causes=("log-of-zero", "exp-overflow"))
def check(code: Code) -> Iterator[Remark]:
    """Say where the range is lost between two functions."""
    for call in code.index.of(ast.Call):
        assert isinstance(call, ast.Call)
        inner = _logged(code, call)
        if inner is None or code.without_gradient(call):
            continue
        better = _better(code, inner, code.frame(call))
        if better is not None:
            yield Remark(
                node=call,
                message=f"This logarithm is infinite where its argument underflows. Use {better}, which "
                "is exact.",
            )


def _logged(code: Code, call: ast.Call) -> ast.expr | None:
    name = code.values.resolve(call.func)
    if name == "torch.log" and call.args:
        return call.args[0]
    if (
        name is None
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "log"
        and not call.args
    ):
        return call.func.value
    return None


def _better(code: Code, inner: ast.expr, frame: Frame) -> str | None:
    if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Add):
        one = any(code.number(side) == 1 for side in (inner.left, inner.right))
        return (
            "torch.nn.functional.softplus"
            if one and _is_exp(code, inner.right, inner.left)
            else None
        )
    summed = _summed(code, inner)
    if summed is not None and _is_exp(code, summed):
        return "torch.logsumexp"
    form = code.forms.of(inner, frame) if isinstance(inner, ast.Call | ast.Name) else None
    if form is None or form.name not in ("softmax", "sigmoid"):
        return None
    return "log_softmax" if form.name == "softmax" else "torch.nn.functional.logsigmoid"


def _summed(code: Code, node: ast.expr) -> ast.expr | None:
    if not isinstance(node, ast.Call):
        return None
    if code.values.resolve(node.func) == "torch.sum" and node.args:
        return node.args[0]
    if isinstance(node.func, ast.Attribute) and node.func.attr == "sum":
        return node.func.value if code.values.resolve(node.func) is None else None
    return None


def _is_exp(code: Code, *nodes: ast.expr) -> bool:
    for node in nodes:
        # Whoever subtracts the largest first has made it exact by hand.
        if isinstance(node, ast.Call) and "max" not in ast.unparse(node):
            if code.values.resolve(node.func) == "torch.exp":
                return True
            if isinstance(node.func, ast.Attribute) and node.func.attr == "exp" and not node.args:
                return True
    return False
