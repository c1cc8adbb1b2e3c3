"""The prediction loses its graph on the way to the loss.

## What it sees
The prediction handed to a loss of PyTorch's went through argmax, `.detach()`, `.item()`, `.numpy()`,
`round()` or a copy by `torch.tensor`, and the loss is backpropagated.

## Why it matters
These have no gradient: the layers before them learn nothing, and setting `requires_grad` on the
result hides it.

## Flagged
    import torch
    import torch.nn.functional as F
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        prediction = model(x).argmax(dim=1).float()
        loss = F.mse_loss(prediction, y.float())
        loss.backward()
        optimizer.step()

## Use instead
    import torch
    import torch.nn.functional as F
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()

## What to do
Give the loss what the model put out. For a choice that must be discrete, use a loss on the
probabilities, a straight-through estimator or Gumbel-softmax.

## Source
PyTorch documentation, "Autograd mechanics: gradients for non-differentiable functions".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.losses import Backpropagated, backpropagated
from steadytrain.lint._code.objectives import loss_calls
from steadytrain.lint._code.values import Frame

_CUTS: Final = {"argmax", "item", "numpy", "tolist", "detach", "round"}
_FUNCTIONS: Final = {
    "torch.argmax",
    "torch.round",
    "torch.from_numpy",
    "torch.tensor",
    "torch.sign",
}
_THROUGH: Final = {"float", "to", "cuda", "squeeze", "unsqueeze", "view", "reshape", "double", "cpu",
                   "requires_grad_", "type", "clone"}  # fmt: skip


@lint_check(code="LOP114", causes=("detached-graph",), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where a prediction without a graph is given to a loss."""
    roots = list(backpropagated(code))
    for name, call in loss_calls(code):
        prediction = call.args[0] if call.args else code.keyword(call, "input")
        if prediction is None or not _goes_back(code, call, roots):
            continue
        frame = code.frame(call)
        other = call.args[1] if len(call.args) > 1 else code.keyword(call, "target")
        cut = _cut(code, prediction, frame, 0)
        if cut is not None and (_is_ordered(name) or other is None or _is_data(code, other, frame)):
            yield Remark(
                node=cut,
                message="The prediction loses its graph here, before the loss: the model gets no "
                "gradient. Give the loss the model's output itself.",
            )


def _is_ordered(name: str) -> bool:
    """Whether the loss tells its prediction from its target."""
    return any(word in name.lower() for word in ("cross", "nll", "bce", "binary"))


def _is_data(code: Code, expr: ast.expr, frame: Frame) -> bool:
    """Whether the other side is something the loop reads, or has no graph either."""
    while isinstance(expr, ast.Call) and isinstance(expr.func, ast.Attribute):
        if expr.func.attr in _CUTS:
            return True
        expr = expr.func.value
    found = code.values.candidates(expr, frame)
    return bool(found) and all(one.binding.how in ("for", "arg") for one in found)


def _goes_back(code: Code, call: ast.Call, roots: list[Backpropagated]) -> bool:
    """Whether the loss, or the name it is given, is backpropagated in the same function."""
    statement = code.places.statement(call)
    targets = getattr(statement, "targets", [])
    names = {ast.unparse(target) for target in targets}
    scope = code.index.scope[call]
    return any(
        (one.name in names and one.loss.frame.scope is scope) or code.places.inside(call, one.node)
        for one in roots
    )


def _cut(code: Code, expr: ast.expr, frame: Frame, depth: int) -> ast.expr | None:
    if depth > 5:
        return None
    if isinstance(expr, ast.Call):
        name = code.values.resolve(expr.func)
        if name is not None:
            copied = name != "torch.tensor" or (
                expr.args and not isinstance(expr.args[0], ast.List)
            )
            return expr if name in _FUNCTIONS and copied else None
        if isinstance(expr.func, ast.Attribute) and code.kinds.of(expr.func, frame) is None:
            if expr.func.attr in _CUTS:
                return expr
            if expr.func.attr in _THROUGH:
                return _cut(code, expr.func.value, frame, depth + 1)
        return None
    picked = _picked(code, expr, frame)
    if picked is not None:
        return picked
    value = code.values.assigned(expr, frame)
    same = value is not None and value.frame.scope is frame.scope
    return _cut(code, value.expr, value.frame, depth + 1) if value is not None and same else None


def _picked(code: Code, expr: ast.expr, frame: Frame) -> ast.expr | None:
    """The call of `max` or its kin that gave `expr` as its second result, the indices."""
    found = code.values.candidates(expr, frame)
    if len(found) != 1 or found[0].binding.how != "unpack" or found[0].binding.index != 1:
        return None
    call = found[0].binding.value
    if not isinstance(call, ast.Call) or found[0].frame.scope is not frame.scope:
        return None
    name = code.values.resolve(call.func) or f"torch.{getattr(call.func, 'attr', '')}"
    return call if name in ("torch.max", "torch.min", "torch.topk", "torch.sort") else None
