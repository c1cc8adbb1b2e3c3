"""A name of PyTorch's that is gone, or has another meaning than it had.

## What it sees
`loss.data[0]`, `nn.init.xavier_uniform` and its kin without the underscore, `clip_grad_norm`
without it, `Variable`, and the losses' `size_average=` and `reduce=`.

## Why it matters
Some raise, some warn at every step, and `size_average=False` is a sum where a mean is expected.

## Flagged
    import torch.nn as nn
    layer = nn.Linear(4, 4)
    nn.init.xavier_uniform(layer.weight)

## Use instead
    import torch.nn as nn
    layer = nn.Linear(4, 4)
    nn.init.xavier_uniform_(layer.weight)

## What to do
Write the name of today; `--fix` does where it is one word.

## Source
PyTorch 0.4 and 1.0 release notes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._edits import replaced

_INITS: Final = {"xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "normal", "uniform",
                 "constant", "orthogonal", "sparse", "eye", "dirac"}  # fmt: skip


@lint_check(code="LOP129", causes=("unknown",), severity=Severity.NOTE, fix="safe")
def check(code: Code) -> Iterator[Remark]:
    """Say where an old name stands."""
    for call, name in code.calls:
        home, _, last = name.rpartition(".")
        old = home == "torch.nn.init" and last in _INITS
        clip = home == "torch.nn.utils" and last == "clip_grad_norm"
        if old or clip:
            yield _renamed(code, call, last)
        elif name == "torch.autograd.Variable":
            yield Remark(
                node=call, message="Variable is a tensor since 0.4. Use the tensor itself."
            )
        elif home in ("torch.nn", "torch.nn.functional"):
            for word in call.keywords:
                if word.arg in ("size_average", "reduce") and "loss" in last.lower() + "_loss":
                    yield Remark(
                        node=word,
                        message=f"{word.arg}= is deprecated. Say reduction='mean', 'sum' or 'none'.",
                        causes=("loss-reduction",),
                    )
    for node in code.index.of(ast.Subscript):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Attribute):
            owner = getattr(node.value.value, "id", "")
            if node.value.attr == "data" and "loss" in owner and code.number(_index(node)) == 0:
                fix = replaced(code, node, f"{owner}.item()", "use .item()", safe=True)
                yield Remark(
                    node=node, message="loss.data[0] raises since 0.5: use .item().", fix=fix
                )


def _index(node: ast.Subscript) -> ast.expr:
    return node.slice


def _renamed(code: Code, call: ast.Call, last: str) -> Remark:
    fix = None
    if isinstance(call.func, ast.Attribute):
        text = (ast.get_source_segment(code.text, call.func) or "") + "_"
        fix = (
            replaced(code, call.func, text, f"write {last}_", safe=True) if len(text) > 1 else None
        )
    return Remark(node=call, message=f"{last} is deprecated: write {last}_.", fix=fix)
