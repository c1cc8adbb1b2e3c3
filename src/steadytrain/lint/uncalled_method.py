"""A method is named but not called.

## What it sees
A line that is only `optimizer.step`, `optimizer.zero_grad`, `loss.backward`, `scheduler.step`,
`model.train` or `model.eval` without parentheses; `model.parameters` handed over without them.

## Why it matters
The line does nothing and raises nothing: the step is not taken, the mode is not set.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad
        ((model(x) - y) ** 2).mean().backward()
        optimizer.step()
        optimizer.zero_grad()

## Use instead
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in loader:
        optimizer.zero_grad()
        ((model(x) - y) ** 2).mean().backward()
        optimizer.step()

## What to do
Add the parentheses.

## Source
Python language reference, 6.3.4: naming a method does not call it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._edits import replaced

_METHODS: Final = {
    "step": ("missing-optimizer-step", "lr-schedule-wrong"),
    "zero_grad": ("missing-zero-grad",),
    "backward": ("missing-optimizer-step",),
    "train": ("eval-mode-in-training",),
    "eval": ("train-mode-in-eval",),
    "unscale_": ("unscale-order",),
    "update": ("loss-scale-collapse",),
}
_TAKERS: Final = ("torch.optim.", "torch.nn.utils.clip_grad")


@lint_check(code="LOP117", causes=("step-order",), severity=Severity.CRITICAL, fix="unsafe")
def check(code: Code) -> Iterator[Remark]:
    """Say where parentheses are missing."""
    for node in code.index.of(ast.Expr):
        value = getattr(node, "value", None)
        if (
            isinstance(value, ast.Attribute)
            and value.attr in _METHODS
            and isinstance(value.value, ast.Name | ast.Attribute)
        ):
            yield _remark(code, value, _METHODS[value.attr])
    for call, name in code.calls:
        if name.startswith(_TAKERS):
            given = code.keyword(call, "params", 0) or code.keyword(call, "parameters", 0)
            if (
                isinstance(given, ast.Attribute)
                and given.attr == "parameters"
                and code.kinds.is_a("module", given.value, code.frame(call))
            ):
                yield _remark(code, given, ("params-not-in-optimizer",))


def _remark(code: Code, node: ast.Attribute, causes: tuple[str, ...]) -> Remark:
    text = ast.unparse(node)
    return Remark(
        node=node,
        message=f"{text} is named, not called: nothing happens here. Write {text}().",
        causes=causes,
        fix=replaced(code, node, _source(code, node) + "()", "add the parentheses", safe=False),
    )


def _source(code: Code, node: ast.AST) -> str:
    return ast.get_source_segment(code.text, node) or ast.unparse(node)
