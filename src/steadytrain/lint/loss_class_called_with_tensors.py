"""A loss module is built where it should be called.

## What it sees
`nn.CrossEntropyLoss(output, target)`: the two tensors become the options `weight` and
`size_average` of a new module.

## Why it matters
What comes back is a module, not a loss; where it is only logged, nothing ever raises.

## Flagged
    from torch import nn
    model = nn.Linear(4, 3)
    for x, y in loader:
        loss = nn.CrossEntropyLoss(model(x), y)

## Use instead
    from torch import nn
    model = nn.Linear(4, 3)
    criterion = nn.CrossEntropyLoss()
    for x, y in loader:
        loss = criterion(model(x), y)

## What to do
Build the loss once and call it, or use its function: `F.cross_entropy(output, target)`.

## Source
PyTorch documentation, `torch.nn.CrossEntropyLoss`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code


@lint_check(code="LOS106", causes=("loss-input-mismatch",), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where a loss is built of tensors."""
    for call, name in code.calls:
        if not (name.startswith("torch.nn.") and name.endswith("Loss") and name.count(".") == 2):
            continue
        tensors = [one for one in call.args if not isinstance(one, ast.Constant | ast.Starred)]
        if len(call.args) == 2 and len(tensors) == 2:
            last = name.rpartition(".")[2]
            yield Remark(
                node=call,
                message=f"{last} is built here, not called: the tensors become its options. Write "
                f"{last}()(output, target).",
            )
