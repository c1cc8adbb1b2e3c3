"""Anomaly detection is switched on for the whole training.

## What it sees
`set_detect_anomaly(True)`, `detect_anomaly()` or Lightning's `detect_anomaly=True`, under no
condition.

## Why it matters
It records a traceback for every operation and checks every gradient: training takes several
times as long.

## Flagged
    import torch
    torch.autograd.set_detect_anomaly(True)

## Use instead
    import torch
    torch.autograd.set_detect_anomaly(args.debug)

## What to do
Remove it, or switch it on by an option while you look for a NaN.

## Source
PyTorch documentation, `torch.autograd.set_detect_anomaly`: only for debugging, it slows down.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._edits import replaced

_MESSAGE = (
    "Anomaly detection is on for the whole training and slows every step. Remove it, or switch it "
    "on by an option while you look for a NaN."
)


@lint_check(code="LOP115", causes=("unknown",), fix="safe")
def check(code: Code) -> Iterator[Remark]:
    """Say where anomaly detection is on without a condition."""
    for call, name in code.calls:
        last = name.rpartition(".")[2]
        mode = code.keyword(call, "mode", 0)
        if last == "set_detect_anomaly" and _is_on(code, mode) and not code.places.path(call):
            fix = replaced(code, mode, "False", "switch it off", safe=True) if mode else None
            yield Remark(node=call, message=_MESSAGE, fix=fix)
        elif last == "detect_anomaly" and name.startswith("torch.") and not code.places.path(call):
            if mode is None or _is_on(code, mode):
                yield Remark(node=call, message=_MESSAGE)
        elif last in ("Trainer", "Fabric"):
            given = code.keyword(call, "detect_anomaly")
            if given is not None and _is_on(code, given):
                fix = replaced(code, given, "False", "switch it off", safe=True)
                yield Remark(node=given, message=_MESSAGE, fix=fix)


def _is_on(code: Code, mode: ast.expr | None) -> bool:
    return code.is_literal(mode, value=True)
