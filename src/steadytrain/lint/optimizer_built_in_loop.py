"""A new optimizer is built at every pass of a training loop.

## What it sees
An optimizer constructed in a loop over batches or epochs, for a model that was made outside of it.

## Why it matters
Momentum and second moments start from zero each time: Adam's first steps, which are all of the
same length, are repeated for ever, and a schedule acts on an optimizer that is gone.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    for epoch in range(10):
        optimizer = torch.optim.Adam(model.parameters())
        for x, y in loader:
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()
            optimizer.step()

## Use instead
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.Adam(model.parameters())
    for epoch in range(10):
        for x, y in loader:
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()
            optimizer.step()

## What to do
Build it once, before the loop. To change the rate, use a scheduler or `param_groups`.

## Source
Kingma and Ba 2015, algorithm 1: the moments are kept over all steps.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.scopes import LOOPS, dotted

_EPOCH: Final = re.compile(
    r"_?(epoch|ep|e|step|it|iteration|batch|batch_idx|i)s?(_?(idx|num|i|id))?"
)


@lint_check(code="LOP116", causes=("step-order", "lr-schedule-wrong"))
def check(code: Code) -> Iterator[Remark]:
    """Say where an optimizer is built again and again."""
    for call in code.index.of(ast.Call):
        assert isinstance(call, ast.Call)
        kind = code.kinds.of(call, code.frame(call))
        if kind is None or kind.name != "optimizer" or not kind.maker or kind.call is None:
            continue
        if kind.call.expr is not call or kind.maker.endswith("LBFGS"):
            continue
        loop = _training_loop(code, call)
        if loop is not None and not _is_remade(call, loop):
            yield Remark(
                node=call,
                message="A new optimizer is built at every pass of the loop: its moments start from "
                "zero each time. Build it once, before the loop.",
            )


def _training_loop(code: Code, call: ast.Call) -> ast.AST | None:
    """The innermost loop, if it goes over batches or epochs and trains, under no condition."""
    loops = code.places.loops(call)
    if not loops or code.places.path(call) - code.places.path(loops[0]):
        return None
    loop = loops[0]
    counted = isinstance(loop, ast.For) and _EPOCH.fullmatch(_first_name(loop.target))
    over = isinstance(loop, ast.For) and "loader" in ast.unparse(loop.iter)
    trains = any(isinstance(n, ast.Attribute) and n.attr == "backward" for n in ast.walk(loop))
    # A loop of stages or folds that has its own loop of epochs inside is no training loop itself.
    inner = [n for n in ast.walk(loop) if isinstance(n, LOOPS) and n is not loop]
    nested = any(isinstance(n, ast.For) and _EPOCH.fullmatch(_first_name(n.target))
                 and "range" in ast.unparse(n.iter) for n in inner)  # fmt: skip
    return loop if (counted or over) and trains and not nested else None


def _first_name(target: ast.expr) -> str:
    if isinstance(target, ast.Tuple) and target.elts:
        target = target.elts[0]
    return target.id if isinstance(target, ast.Name) else ""


def _is_remade(call: ast.Call, loop: ast.AST) -> bool:
    """Whether what is optimised is made, reset or changed in the same loop."""
    given = call.args[0] if call.args else None
    names = (
        {n.id for n in ast.walk(given) if isinstance(n, ast.Name)} if given is not None else set()
    )
    for node in ast.walk(loop):
        made = getattr(node, "targets", None) or [getattr(node, "target", None)]
        targets = {
            (dotted(target) or "").partition(".")[0] for target in made if target is not None
        }
        if isinstance(node, ast.Assign | ast.AugAssign | ast.For) and targets & names:
            return True
        if isinstance(node, ast.Attribute) and node.attr in (
            "load_state_dict",
            "reset_parameters",
            "requires_grad",
        ):
            return True
    return not names
