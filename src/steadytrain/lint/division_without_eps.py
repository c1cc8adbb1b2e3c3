"""A division by a deviation or norm that can be zero.

## What it sees
`/ x.std()`, `/ torch.std(x)` and `/ x.norm(...)` of advantages, rewards, returns or of a module's
output, with nothing added to the divisor or clamped.

## Why it matters
A constant batch, one sample, or a zero vector makes it zero: the result is NaN or infinite, and so
is every weight after the next step.

## Flagged
    import torch
    advantages = (advantages - advantages.mean()) / advantages.std()

## Use instead
    import torch
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)

## What to do
Add a small number to the divisor, or use `F.normalize`, which has one.

## Source
Division by zero; with one sample the unbiased deviation itself is NaN.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code

_NAMES: Final = re.compile(r"(\w*_)?(adv|advs|advantages?|rewards?|returns?|discounted\w*|gae|features?|embeddings?|emb|"
                           r"logits|outputs?|hidden|z|h|activations?)(_\w+)?", re.IGNORECASE)  # fmt: skip
_DIVISORS: Final = {"std", "norm"}


@lint_check(code="NUM102", causes=("div-by-zero",))
def check(code: Code) -> Iterator[Remark]:
    """Say where the divisor can be zero."""
    if not any(home.startswith("torch") for home in code.index.imports.values()):
        return
    for node in code.index.of(ast.BinOp):
        assert isinstance(node, ast.BinOp)
        if isinstance(node.op, ast.Div):
            found = _divisor(code, node.right)
            if found is not None and _is_learned(found[1]):
                yield Remark(
                    node=node,
                    message=f"The divisor {ast.unparse(node.right)} can be zero, and the result then is "
                    "NaN or infinite. Add a small number to it, such as 1e-8.",
                    severity=None if found[0] == "std" else Severity.NOTE,
                )


def _divisor(code: Code, node: ast.expr) -> tuple[str, ast.expr] | None:
    """`std` or `norm` and the tensor it is of."""
    if not isinstance(node, ast.Call):
        value = code.values.assigned(node, code.frame(node)) if isinstance(node, ast.Name) else None
        same = value is not None and value.frame.scope is code.frame(node).scope
        return (
            _divisor(code, value.expr)
            if value and same and isinstance(value.expr, ast.Call)
            else None
        )
    name = code.values.resolve(node.func)
    if (
        name in ("torch.std", "torch.norm", "torch.linalg.norm", "torch.linalg.vector_norm")
        and node.args
    ):
        return name.rpartition(".")[2], node.args[0]
    if name is None and isinstance(node.func, ast.Attribute) and node.func.attr in _DIVISORS:
        return node.func.attr, node.func.value
    return None


def _is_learned(expr: ast.expr) -> bool:
    """Whether the tensor is one of training, by its name."""
    last = expr.attr if isinstance(expr, ast.Attribute) else getattr(expr, "id", "")
    return bool(last) and _NAMES.fullmatch(last) is not None
