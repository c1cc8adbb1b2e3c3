"""The optimizer is built before the model is moved or cast.

## What it sees
An optimizer built on `model.parameters()`, and behind it `model.to(...)`, `model.cuda()` or
`model.half()` in the same block.

## Why it matters
Where a move makes new parameters, the optimizer goes on stepping the old ones and the model never
changes; state that some optimizers make when they are built stays on the old device.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.Adagrad(model.parameters())
    model.to("cuda")

## Use instead
    import torch
    model = torch.nn.Linear(4, 1)
    model.to("cuda")
    optimizer = torch.optim.Adagrad(model.parameters())

## What to do
Move and cast the model first, then build the optimizer.

## Source
PyTorch documentation, `torch.optim`, "Constructing it": move the model before.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.optimized import optimizers
from steadytrain.lint._code.places import start_of

_MOVES: Final = ("to", "cuda", "half", "bfloat16", "double", "to_empty")
_OPTIONS: Final = {"memory_format", "non_blocking"}


@lint_check(code="OPT104", causes=("stale-optimizer-params",))
def check(code: Code) -> Iterator[Remark]:
    """Say where the model is moved too late."""
    built = list(optimizers(code))
    for method in _MOVES:
        for call in code.methods.get(method, ()):
            assert isinstance(call.func, ast.Attribute)
            if method == "to" and {word.arg for word in call.keywords} & _OPTIONS and not call.args:
                continue
            key = code.values.key(call.func.value, code.frame(call))
            for one in built:
                if key and key in one.models and _directly_after(code, one.call, call):
                    yield Remark(
                        node=call,
                        message=f"The model is changed by .{method}() after the optimizer was built on "
                        "its parameters. Build the optimizer after it.",
                    )
                    break


def _directly_after(code: Code, built: ast.Call, moved: ast.Call) -> bool:
    """Whether the move comes after the optimizer in the same function, and not in a later loop."""
    same = code.index.scope[built] is code.index.scope[moved]
    if not same or start_of(moved) <= start_of(built) or not code.places.dominates(built, moved):
        return False
    return code.places.loops(moved) == code.places.loops(built)
