"""A layer with weights is built in `forward`, anew at every call.

## What it sees
`nn.Linear(...)(x)` and other layers with parameters, built in the `forward` of a module.

## Why it matters
Its weights are new and random at every call, belong to no optimizer and are never trained.

## Flagged
    from torch import nn
    class Net(nn.Module):
        def forward(self, x):
            return nn.Linear(4, 2)(x)

## Use instead
    from torch import nn
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 2)
        def forward(self, x):
            return self.fc(x)

## What to do
Build the layer in `__init__`; use a lazy module where a size is not known yet.

## Source
PyTorch documentation, `torch.nn.Module`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code

_LAYERS: Final = {"Linear", "Bilinear", "Embedding", "LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell",
                  "MultiheadAttention", "LayerNorm", "GroupNorm", "Conv1d", "Conv2d", "Conv3d", "BatchNorm1d",
                  "BatchNorm2d", "BatchNorm3d", "ConvTranspose1d", "ConvTranspose2d", "PReLU",
                  "ConvTranspose3d", "TransformerEncoderLayer"}  # fmt: skip


@lint_check(code="INI102", causes=("params-not-registered",), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say which weights are random for ever."""
    modules = {cls.node for cls in code.classes()}
    for call, name in code.calls:
        home, _, last = name.rpartition(".")
        cls, function = code.enclosing_class(call), code.function_of(call)
        if home != "torch.nn" or last not in _LAYERS or cls is None or cls.node not in modules:
            continue
        if getattr(function, "name", "") == "forward" and not _kept(code, call):
            yield Remark(
                node=call,
                message=f"{last} is built in forward: its weights are new at every call and never "
                "trained. Build it in __init__.",
            )


def _kept(code: Code, call: ast.Call) -> bool:
    """Whether it is built once, under a condition, and kept on the module."""
    statement = code.places.statement(call)
    targets = getattr(statement, "targets", [])
    return any(isinstance(t, ast.Attribute) for t in targets) and bool(code.places.path(call))
