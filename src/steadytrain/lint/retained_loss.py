"""A loss is kept with its whole graph, step after step.

## What it sees
A loss that is backpropagated in a loop and is also appended to a list or added to a sum that
outlives the pass, without `.item()` or `.detach()`, where the list or sum is never backpropagated.

## Why it matters
Every kept loss keeps the graph of its step: memory grows until the run dies.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for x, y in loader:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss)

## Use instead
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for x, y in loader:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())

## What to do
Keep `loss.detach()`, which needs no synchronisation, or `loss.item()`.

## Source
PyTorch documentation, "Frequently Asked Questions: my model reports out of memory".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.losses import carriers, is_cut
from steadytrain.lint._code.scopes import LOOPS, Scope, dotted


@lint_check(code="LOP107", causes=("graph-retained",))
def check(code: Code) -> Iterator[Remark]:
    """Say where a loss is kept with its graph."""
    for scope, names in carriers(code).items():
        for node in code.index.of(ast.Call, ast.AugAssign, ast.Assign):
            if code.index.scope[node] is scope:
                kept, where = _kept(node)
                if kept is None or where is None or not _is_loss(code, kept, names, scope):
                    continue
                if _outlives(code, node, where, scope) and not _is_used(code, where):
                    yield Remark(
                        node=node,
                        message=f"{ast.unparse(kept)} is kept in {where} with its graph: memory "
                        f"grows with every step. Keep {ast.unparse(kept)}.detach() instead.",
                    )


def _kept(node: ast.AST) -> tuple[ast.expr | None, str | None]:
    """What is kept, and the name of the list or sum it is kept in."""
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        value = node.value
        if isinstance(value, ast.List) and len(value.elts) == 1:
            value = value.elts[0]
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult | ast.Div):
            value = value.left
        return value, dotted(node.target) or _keyed(node.target)
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
        name = dotted(node.targets[0])
        if isinstance(node.value.op, ast.Add) and name and name == dotted(node.value.left):
            return node.value.right, name
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "append"
        and len(node.args) == 1
    ):
        return node.args[0], dotted(node.func.value) or _keyed(node.func.value)
    return None, None


def _keyed(node: ast.expr) -> str | None:
    """The name of the container in `history[key]`."""
    return dotted(node.value) if isinstance(node, ast.Subscript) else None


def _is_loss(code: Code, kept: ast.expr, names: set[str], scope: Scope) -> bool:
    name = dotted(kept)
    if name is None or name not in names:
        return False
    found = code.values.candidates(kept, code.values.frame(scope))
    return bool(found) and not any(
        one.binding.value is not None and _is_number(code, one.binding.value) for one in found
    )


def _is_number(code: Code, value: ast.expr) -> bool:
    """Whether the value has no graph any more, as after a reduction over ranks."""
    name = code.values.resolve(value.func) if isinstance(value, ast.Call) else None
    return (
        is_cut(code, value)
        or isinstance(value, ast.Constant)
        or "reduce" in (name or ast.unparse(value))
    )


def _outlives(code: Code, node: ast.AST, where: str, scope: Scope) -> bool:
    """Whether what it is kept in was made outside the innermost loop, or is an attribute."""
    loops = code.places.loops(node)
    if code.without_gradient(node):
        return False
    head = where.partition("[")[0]
    if head.startswith("self."):
        return not code.has("clear") and not _is_reset(code, head)
    if not loops:
        return False
    bindings = [b for b in scope.bindings.get(head, ()) if b.how != "aug" and b.node is not node]
    return not any(code.places.inside(binding.node, loops[0]) for binding in bindings)


def _is_reset(code: Code, name: str) -> bool:
    """Whether the attribute is made anew outside the constructor."""
    return any(
        scope.name != "__init__"
        for cls in code.index.classes.values()
        for binding, scope in cls.attributes.get(name.partition(".")[2], ())
        if binding.how != "aug" and not _is_sum(binding.value, name)
    )


def _is_sum(value: ast.expr | None, name: str) -> bool:
    """Whether the value is the name's own, with something added."""
    return isinstance(value, ast.BinOp) and dotted(value.left) == name


def _is_used(code: Code, where: str) -> bool:
    """Whether the list or sum goes into something that is backpropagated."""
    if where in {name for names in carriers(code).values() for name in names}:
        return True
    for node in code.index.of(ast.Name, ast.Attribute):
        if dotted(node) != where or not code.has("backward"):
            continue
        outer = code.places.statement(node)
        made = {dotted(target) for target in getattr(outer, "targets", ())}
        deeper = {name for names in carriers(code).values() for name in names}
        if "backward" in ast.unparse(outer).partition("\n")[0] and not isinstance(outer, LOOPS):
            return True
        if made & deeper:
            return True
    return False
