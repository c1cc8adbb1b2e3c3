"""A tensor is changed through `.data`.

## What it sees
An assignment to `x.data` or a method on it that changes in place, outside of `no_grad`, and
outside of functions that initialise.

## Why it matters
Autograd does not see the change: a value saved for the backward pass may be another by then, and
the gradient is silently wrong. What `.data` is used for, `no_grad` does with the check.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    for p in model.parameters():
        p.data -= 0.1 * p.grad

## Use instead
    import torch
    model = torch.nn.Linear(4, 1)
    with torch.no_grad():
        for p in model.parameters():
            p -= 0.1 * p.grad

## What to do
Write to the tensor itself under `with torch.no_grad():`, or use `.detach()` to read.

## Source
PyTorch 0.4 migration guide, "What about .data?".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code

_INITIALISES: Final = re.compile(
    r"_*(\w*init\w*|reset_\w+|load\w*|convert\w*|merge\w*|copy\w*|sync\w*)"
)
_TENSORS: Final = {"p", "w", "b", "param", "parameter", "weight", "bias", "target_param", "grad"}


@lint_check(code="LOP120", causes=("unknown",), severity=Severity.NOTE)
def check(code: Code) -> Iterator[Remark]:
    """Say where a tensor is changed behind autograd's back."""
    if not any(home.startswith("torch") for home in code.index.imports.values()):
        return
    for node in code.index.of(ast.Assign, ast.AugAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        for target in targets:
            inner = target.value if isinstance(target, ast.Subscript) else target
            if (
                isinstance(inner, ast.Attribute)
                and inner.attr == "data"
                and _is_tensor(code, inner.value)
            ):
                yield from _remark(code, node)
    for method, calls in code.methods.items():
        if method.endswith("_") and not method.startswith("_"):
            for call in calls:
                inner = call.func.value if isinstance(call.func, ast.Attribute) else call
                if isinstance(inner, ast.Attribute) and inner.attr == "data":
                    yield from _remark(code, call)


def _is_tensor(code: Code, owner: ast.expr) -> bool:
    """Whether the attribute is a tensor's `data`, and not that of a batch or a record."""
    name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
    if name in _TENSORS or name.endswith(("weight", "bias", "param")):
        return True
    found = code.values.candidates(owner, code.frame(owner))
    return any(one.binding.how == "for" and one.binding.value is not None
               and "parameters" in ast.unparse(one.binding.value) for one in found)  # fmt: skip


def _remark(code: Code, node: ast.AST) -> Iterator[Remark]:
    function = getattr(code.function_of(node), "name", "")
    if not (_INITIALISES.fullmatch(function) or code.without_gradient(node)):
        yield Remark(
            node=node,
            message="A tensor is changed through .data, unseen by autograd: a saved value may change "
            "under it. Write to the tensor under torch.no_grad().",
        )
