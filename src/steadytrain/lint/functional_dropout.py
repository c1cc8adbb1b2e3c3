"""Dropout that `eval()` cannot switch off.

## What it sees
In a module's method: `F.dropout(x)` without `training=self.training`, or `nn.Dropout(...)(x)`
built on the spot, which is always in training mode.

## Why it matters
The model is evaluated and used with parts of its signal dropped at random.

## Flagged
    import torch.nn as nn
    import torch.nn.functional as F
    class Net(nn.Module):
        def forward(self, x):
            return F.dropout(x, 0.5)

## Use instead
    import torch.nn as nn
    import torch.nn.functional as F
    class Net(nn.Module):
        def forward(self, x):
            return F.dropout(x, 0.5, training=self.training)

## What to do
Pass `training=self.training`, or make an `nn.Dropout` in `__init__`.

## Source
PyTorch documentation, `torch.nn.functional.dropout`: `training` is True by default.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code

_DROPS: Final = {
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "alpha_dropout",
    "feature_alpha_dropout",
}


@lint_check(code="LOP119", causes=("train-mode-in-eval",))
def check(code: Code) -> Iterator[Remark]:
    """Say where dropout is always on."""
    modules = {cls.node for cls in code.classes()}
    for call, name in code.calls:
        cls = code.enclosing_class(call)
        if cls is None or cls.node not in modules:
            continue
        home, _, last = name.rpartition(".")
        functional = home == "torch.nn.functional" and last in _DROPS
        if functional and code.keyword(call, "training", 2) is None and not _spread(call):
            yield Remark(
                node=call,
                message="This dropout is on in evaluation too: model.eval() does not reach it. Pass "
                "training=self.training.",
            )
        elif home == "torch.nn" and "Dropout" in last and _is_called(code, call):
            yield Remark(
                node=call,
                message="A dropout built here is always in training mode: model.eval() does not reach it. "
                "Make it in __init__.",
            )


def _spread(call: ast.Call) -> bool:
    return any(word.arg is None for word in call.keywords)


def _is_called(code: Code, call: ast.Call) -> bool:
    parent = code.index.parent.get(call)
    return isinstance(parent, ast.Call) and parent.func is call
