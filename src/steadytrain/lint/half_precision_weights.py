"""Weights are trained in half precision.

## What it sees
`model.half()`, or `.to(torch.float16)`, on a model whose parameters an optimizer is given.

## Why it matters
Updates below half a unit in the last place are rounded away, Adam's eps of 1e-8 is zero in float16,
and a gradient above 65,504 is infinite.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1).half()
    optimizer = torch.optim.Adam(model.parameters())

## Use instead
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.Adam(model.parameters())

## What to do
Keep the weights in float32 and compute under `torch.autocast`, with a `GradScaler` for float16.

## Source
Micikevicius et al. 2018, section 3.1: a master copy of the weights in float32.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.optimized import optimizers
from steadytrain.lint._code.places import start_of


@lint_check(code="PRE106", causes=("low-precision-update-lost", "fp16-overflow", "adam-eps"))
def check(code: Code) -> Iterator[Remark]:
    """Say which trained weights are in float16."""
    built = list(optimizers(code))
    for method in ("half", "to"):
        for call in code.methods.get(method, ()):
            assert isinstance(call.func, ast.Attribute)
            if method == "to" and not _is_half(code, call):
                continue
            if not code.kinds.is_a("module", call.func.value, code.frame(call)):
                continue
            key = _key(code, call)
            for one in built:
                same = code.index.scope[one.call] is code.index.scope[call]
                if key and key in one.models and same and start_of(call) < start_of(one.call):
                    yield Remark(
                        node=call,
                        message="The weights that the optimizer trains are in float16: small updates "
                        "vanish and Adam's eps is zero. Keep them in float32 and use torch.autocast.",
                    )
                    break


def _is_half(code: Code, call: ast.Call) -> bool:
    given = [*call.args, *(word.value for word in call.keywords)]
    return any(code.values.resolve(one) in ("torch.float16", "torch.half") for one in given)


def _key(code: Code, call: ast.Call) -> str:
    """The model that is cast: the one it is called on, or that is assigned the result."""
    assert isinstance(call.func, ast.Attribute)
    statement = code.places.statement(call)
    targets = getattr(statement, "targets", [])
    if len(targets) == 1 and call is getattr(statement, "value", None):
        return code.values.key(targets[0], code.frame(call))
    return code.values.key(call.func.value, code.frame(call))
