"""A guard against divergence that a NaN walks through.

## What it sees
`if loss > limit:` followed by a raise, break, continue, return or exit, in a function that asks
nowhere whether the loss is finite.

## Why it matters
Every comparison with NaN is false: the guard stops a loss of a million and lets NaN pass.

## Flagged
    import torch
    for step in range(100):
        loss = compute(step)
        if loss > 1e4:
            raise RuntimeError("diverged")

## Use instead
    import torch
    for step in range(100):
        loss = compute(step)
        if not loss <= 1e4:
            raise RuntimeError("diverged")

## What to do
Turn the test round, `if not loss <= limit:`, or ask `torch.isfinite(loss)` first.

## Source
IEEE 754: an ordered comparison with NaN is false.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.scopes import dotted

_NAMES: Final = re.compile(r"(\w*_)?(loss|grad_norm|total_norm|gnorm|grad_norm_total|norm)(_\w+)?")
_LIMITS: Final = re.compile(r"\w*(best|min|lowest|prev|last|patience|previous|target|val)\w*")
_ASKS: Final = ("isfinite", "isnan", "isinf", "nan_to_num", "error_if_nonfinite", "detect_anomaly")


@lint_check(code="LOP121", causes=("lr-too-high", "missing-grad-clip"))
def check(code: Code) -> Iterator[Remark]:
    """Say where a NaN passes a guard."""
    if code.has(*_ASKS) or not any(
        h.startswith(("torch", "lightning")) for h in code.index.imports.values()
    ):
        return
    for node in code.index.of(ast.If):
        assert isinstance(node, ast.If)
        found = _guarded(node.test)
        if found is not None and _stops(node.body) and code.places.loops(node):
            yield Remark(
                node=node.test,
                message=f"A NaN passes this guard: every comparison with NaN is false. Write "
                f"'if not {found}', or ask torch.isfinite first.",
            )


def _guarded(test: ast.expr) -> str | None:
    """The turned-round comparison, where the test asks whether a loss or norm is too large."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return None
    left, right = test.left, test.comparators[0]
    if isinstance(test.ops[0], ast.Lt | ast.LtE):
        left, right = right, left
    elif not isinstance(test.ops[0], ast.Gt | ast.GtE):
        return None
    name = _name(left)
    limit = _name(right)
    if name is None or not _NAMES.fullmatch(name) or (limit and _LIMITS.fullmatch(limit)):
        return None
    if isinstance(right, ast.Constant | ast.Name | ast.Attribute | ast.BinOp):
        strict = isinstance(test.ops[0], ast.Gt | ast.Lt)
        return f"{ast.unparse(left)} {'<=' if strict else '<'} {ast.unparse(right)}"
    return None


def _name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return _name(node.func.value) if node.func.attr in ("item", "mean", "detach") else None
    if (
        isinstance(node, ast.Call)
        and node.args
        and getattr(node.func, "id", "") in ("abs", "float")
    ):
        return _name(node.args[0])
    name = dotted(node)
    return name.rpartition(".")[2] if name else None


def _stops(body: list[ast.stmt]) -> bool:
    last = body[-1]
    if isinstance(last, ast.Raise | ast.Break | ast.Continue | ast.Return):
        return True
    return isinstance(last, ast.Expr) and "exit(" in ast.unparse(last)
