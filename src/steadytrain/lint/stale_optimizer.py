"""The model is replaced, in whole or in part, after the optimizer was built.

## What it sees
Behind the optimizer on `model.parameters()`, in the same block, `model = Other(...)`,
`model.fc = nn.Linear(...)`, or a wrapper that makes new parameters (`FSDP(model)`).

## Why it matters
The optimizer steps tensors that the model no longer uses; the new layer keeps its initial values.

## Flagged
    import torch
    from torch import nn
    from torchvision.models import resnet18
    model = resnet18()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.fc = nn.Linear(512, 10)

## Use instead
    import torch
    from torch import nn
    from torchvision.models import resnet18
    model = resnet18()
    model.fc = nn.Linear(512, 10)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

## What to do
Build the optimizer last, when the model is as it will be trained.

## Source
PyTorch documentation, `torch.optim`, "Constructing it".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.optimized import Built, optimizers
from steadytrain.lint._code.places import start_of
from steadytrain.lint._code.scopes import dotted
from steadytrain.lint._code.values import Frame


@lint_check(code="OPT105", causes=("stale-optimizer-params",), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where the optimizer is left with the old parameters."""
    for built in optimizers(code):
        scope = code.index.scope[built.call]
        for node in code.index.of(ast.Assign):
            assert isinstance(node, ast.Assign)
            if code.index.scope[node] is scope and _follows(code, built, node):
                for target in node.targets:
                    if _replaces(code, built, target, node.value, code.frame(node)):
                        yield Remark(
                            node=node,
                            message=f"{ast.unparse(target)} is replaced after the optimizer was built: "
                            "it steps the old parameters. Build the optimizer after this line.",
                        )


def _follows(code: Code, built: Built, node: ast.Assign) -> bool:
    if start_of(node) <= start_of(built.call) or not code.places.dominates(built.call, node):
        return False
    return code.places.loops(node) == code.places.loops(built.call) and not _rebuilt(
        code, built, node
    )


def _rebuilt(code: Code, built: Built, node: ast.Assign) -> bool:
    """Whether the name of the optimizer gets another one behind the replacement."""
    statement = code.places.statement(built.call)
    names = {dotted(target) for target in getattr(statement, "targets", [])}
    return any(
        start_of(other) > start_of(node) and names & {dotted(t) for t in other.targets}
        for other in code.index.of(ast.Assign)
        if isinstance(other, ast.Assign)
    )


def _replaces(code: Code, built: Built, target: ast.expr, value: ast.expr, frame: Frame) -> bool:
    if not isinstance(value, ast.Call):
        return False
    name = code.values.resolve(value.func) or ""
    wraps = name.endswith(("FullyShardedDataParallel", "convert_sync_batchnorm"))
    kind = code.kinds.of(value, frame)
    new = (
        kind is not None
        and kind.name == "module"
        and kind.call is not None
        and kind.call.expr is value
    )
    if isinstance(target, ast.Attribute) and new and code.kinds.is_a("module", target.value, frame):
        return (
            code.values.key(target.value, frame) in built.models and dotted(target.value) != "self"
        )
    if isinstance(target, ast.Subscript) and new:
        return code.values.key(target.value, frame) in built.models
    same = code.values.key(target, frame) in built.models
    given = any(code.values.key(argument, frame) in built.models for argument in value.args)
    if same and name.endswith("FullyShardedDataParallel"):
        return (
            given and code.is_literal(code.keyword(value, "use_orig_params"), value=True) is False
        )
    return same and new and not given and not wraps
