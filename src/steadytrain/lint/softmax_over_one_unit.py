"""A softmax, or a loss that takes one, over a single unit.

## What it sees
`nn.Linear(n, 1)` followed by softmax, or its output given to `cross_entropy`.

## Why it matters
The softmax of one number is 1: the output is constant, the loss is zero, and so is every gradient.

## Flagged
    import torch
    from torch import nn
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1), nn.Softmax(dim=1))

## Use instead
    import torch
    from torch import nn
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid())

## What to do
For two classes use one logit with `binary_cross_entropy_with_logits`, or two with `cross_entropy`.

## Source
exp(x) / exp(x) = 1.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.forms import Form
from steadytrain.lint._code.objectives import loss_calls, prediction_of


@lint_check(code="LOS105", causes=("output-activation-mismatch",), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where one unit competes with nobody."""
    seen: set[ast.AST] = set()
    for call in code.index.of(ast.Call):
        assert isinstance(call, ast.Call)
        form = _form(code, call)
        if (
            form is not None
            and form.width == 1
            and form.name in ("softmax", "log_softmax")
            and form.node not in seen
            and _is_over_units(code, form.node)
        ):
            seen.add(form.node)
            yield Remark(node=form.node, message=_MESSAGE)
    for name, call in loss_calls(code):
        prediction = prediction_of(code, call) if name == "CrossEntropyLoss" else None
        form = code.forms.of(prediction, code.frame(call)) if prediction is not None else None
        if (
            form is not None
            and form.name == "linear"
            and form.width == 1
            and prediction is not None
        ):
            yield Remark(node=prediction, message=_MESSAGE)


_MESSAGE = (
    "A softmax over one unit is always 1, so nothing can be learned. Use a sigmoid with one unit, or "
    "as many units as classes."
)


def _form(code: Code, call: ast.Call) -> Form | None:
    """The form of a call of softmax, or of the output of a Sequential that is built."""
    name = code.values.resolve(call.func)
    if name == "torch.nn.Sequential":
        kind = code.kinds.of(call, code.frame(call))
        return code.forms.output(kind.call, None) if kind is not None else None
    if name is not None and name.rpartition(".")[2] in ("softmax", "log_softmax"):
        return code.forms.of(call, code.frame(call))
    return None


def _is_over_units(code: Code, node: ast.AST) -> bool:
    """Whether the softmax runs over the last dimension: over another it compares positions."""
    if not isinstance(node, ast.Call):
        return False
    name = code.values.resolve(node.func) or ""
    place = {"torch.softmax": 1, "torch.log_softmax": 1}.get(name, 1 if "functional" in name else 0)
    dim = code.number(code.keyword(node, "dim", place))
    return dim == -1 or (dim == 1 and name.startswith("torch.nn.") and "functional" not in name)
