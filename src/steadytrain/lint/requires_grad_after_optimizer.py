"""What is trained is chosen after the optimizer was built on something else.

## What it sees
`requires_grad = True` (or `requires_grad_(True)`) on parts of a model behind an optimizer that was built
on those parameters only that needed gradients then; and `requires_grad = False` behind an optimizer
that was built on all of them, in the same block.

## Why it matters
Parameters that are thawed after the optimizer was built on the others are in no group: they get
gradients and never move. Parameters that are frozen after it stay in their group, where weight decay
and momentum move them as long as a gradient is left from before.

## Flagged
    import torch
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 1))
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    for parameter in model[0].parameters():
        parameter.requires_grad = True

## Use instead
    import torch
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 1))
    for parameter in model[0].parameters():
        parameter.requires_grad = True
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)

## What to do
Freeze and thaw first, then build the optimizer; or give what is thawed later to
`optimizer.add_param_group`.

## Source
PyTorch documentation, `torch.optim`, "Constructing it", and `Optimizer.add_param_group`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.optimized import GIVES, Built, optimizers
from steadytrain.lint._code.places import start_of

_FLAG = "requires_grad"

_THAWED = (
    "These parameters are thawed after the optimizer was built on those that needed gradients then: "
    "they are in no group and never move. Thaw them first, or use add_param_group."
)
_FROZEN = (
    "These parameters are frozen after the optimizer was built on them: they stay in their group, and "
    "decay and momentum move them while a gradient is left. Freeze them first."
)


@lint_check(code="OPT110", causes=("params-not-in-optimizer", "frozen-params"))
def check(code: Code) -> Iterator[Remark]:
    """Say where parameters are frozen or thawed too late."""
    if not code.has(_FLAG, "requires_grad_") or code.has("add_param_group"):
        return
    built = optimizers(code)
    for place, owner, thaws in _changes(code):
        key = code.values.key(owner, code.frame(owner))
        for one in built:
            if _holds(one, key) and _directly_after(code, one.call, place) and _is_late(one, thaws):
                yield Remark(node=place, message=_THAWED if thaws else _FROZEN)
                break


def _changes(code: Code) -> Iterator[tuple[ast.AST, ast.expr, bool]]:
    """Every switch of whether gradients are needed: where, of which module, and to what."""
    for node in code.index.of(ast.Assign):
        assert isinstance(node, ast.Assign)
        target = node.targets[0]
        if isinstance(target, ast.Attribute) and target.attr == _FLAG:
            yield from _switch(code, node, target.value, _value(node.value))
    for call in code.methods.get("requires_grad_", ()):
        assert isinstance(call.func, ast.Attribute)
        given = code.keyword(call, _FLAG, 0)
        yield from _switch(code, call, call.func.value, True if given is None else _value(given))


def _value(node: ast.expr) -> bool | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, bool) else None


def _switch(
    code: Code, node: ast.AST, switched: ast.expr, value: bool | None
) -> Iterator[tuple[ast.AST, ast.expr, bool]]:
    """With the loop over a module's parameters in the place of the parameter."""
    if value is None:
        return
    for loop in code.places.within(node, ast.For):
        if isinstance(loop, ast.For) and isinstance(switched, ast.Name):
            owner = _owner(loop.iter)
            names = {one.id for one in ast.walk(loop.target) if isinstance(one, ast.Name)}
            if owner is not None and switched.id in names:
                yield loop, owner, value
                return
    yield node, switched, value


def _owner(given: ast.expr) -> ast.expr | None:
    """`model` of `model.parameters()`."""
    is_call = isinstance(given, ast.Call) and isinstance(given.func, ast.Attribute)
    if is_call and given.func.attr in GIVES:  # pyright: ignore[reportAttributeAccessIssue]
        return given.func.value  # pyright: ignore[reportAttributeAccessIssue]
    return None


def _holds(built: Built, key: str) -> bool:
    """Whether the optimizer was given the parameters of that module, or of one around it."""
    return bool(key) and any(
        key == one or key.startswith((f"{one}.", f"{one}[")) for one in built.models
    )


def _is_late(built: Built, thaws: bool) -> bool:
    """Whether the order matters: for those thawed, if the optimizer left out what was frozen."""
    given = built.call.args[0] if built.call.args else built.call
    chosen = any(isinstance(one, ast.Attribute) and one.attr == _FLAG for one in ast.walk(given))
    return chosen if thaws else not chosen


def _directly_after(code: Code, built: ast.Call, place: ast.AST) -> bool:
    """Whether it comes after the optimizer in the same function, and not in a later loop."""
    same = code.index.scope[built] is code.index.scope[place]
    if not same or start_of(place) <= start_of(built) or not code.places.dominates(built, place):
        return False
    return code.places.loops(place) == code.places.loops(built)
