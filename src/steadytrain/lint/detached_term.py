"""A term of the loss that has no gradient.

## What it sees
A sum that is backpropagated with a term that ends in `.item()`, `.data` or `.numpy()`.

## Why it matters
The term is in the number that is printed, but not in what is trained.

## Flagged
    import torch.nn.functional as F
    def step(model, optimizer, x, y):
        penalty = model.penalty()
        loss = F.mse_loss(model(x), y) + 0.1 * penalty.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

## Use instead
    import torch.nn.functional as F
    def step(model, optimizer, x, y):
        penalty = model.penalty()
        loss = F.mse_loss(model(x), y) + 0.1 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

## What to do
Add the tensor itself; take `.item()` where it is logged.

## Source
PyTorch documentation, `torch.Tensor.item`: this operation is not differentiable.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.losses import backpropagated, unscaled


@lint_check(code="LOP132", causes=("detached-graph", "loss-term-scale"))
def check(code: Code) -> Iterator[Remark]:
    """Say which term is only a number."""
    for one in backpropagated(code):
        loss = unscaled(one.loss.expr)
        value = code.values.assigned(loss, one.loss.frame)
        same = value is not None and value.frame.scope is one.loss.frame.scope
        expr = value.expr if value is not None and same else loss
        terms = list(_terms(expr))
        cut = [term for term in terms if _is_number(term)]
        if cut and len(cut) < len(terms):
            for term in cut:
                yield Remark(
                    node=term,
                    message=f"{ast.unparse(term)[:60]} is a number without a gradient: this term is not "
                    "trained. Add the tensor itself.",
                )


def _terms(expr: ast.expr) -> Iterator[ast.expr]:
    """The terms of a sum."""
    if isinstance(expr, ast.BinOp) and isinstance(expr.op, ast.Add | ast.Sub):
        yield from _terms(expr.left)
        yield from _terms(expr.right)
    else:
        yield expr


def _is_number(term: ast.expr) -> bool:
    """Whether the term is a tensor turned into a number, times a constant or a name at most."""
    if isinstance(term, ast.BinOp) and isinstance(term.op, ast.Mult):
        left, right = term.left, term.right
        plain = isinstance(left, ast.Constant | ast.Name), isinstance(right, ast.Constant)
        return (plain[0] and _ends_cut(right)) or (plain[1] and _ends_cut(left))
    return _ends_cut(term)


def _ends_cut(node: ast.expr) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr == "data"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not node.args:
        return node.func.attr in ("item", "numpy")
    return False
