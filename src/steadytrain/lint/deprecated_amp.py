"""Mixed precision by names that PyTorch has deprecated.

## What it sees
`torch.cuda.amp.autocast`, `torch.cuda.amp.GradScaler` and their like under `torch.cpu.amp`; `apex.amp`.

## Why it matters
They warn at every use and will go; `torch.cuda.amp` silently does nothing on another device.

## Flagged
    import torch
    scaler = torch.cuda.amp.GradScaler()

## Use instead
    import torch
    scaler = torch.amp.GradScaler("cuda")

## What to do
Write `torch.amp.autocast("cuda")` and `torch.amp.GradScaler("cuda")`; `--fix` does.

## Source
PyTorch 2.4 release notes: `torch.cuda.amp` is deprecated.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._edits import span
from steadytrain.lint._finding import Edit, Fix

_NAMES: Final = {
    f"torch.{device}.amp.{home}{name}": (device, name)
    for device in ("cuda", "cpu")
    for name in ("autocast", "GradScaler")
    for home in ("", f"{'autocast_mode' if name == 'autocast' else 'grad_scaler'}.")
}


@lint_check(code="PRE102", causes=("unknown",), severity=Severity.NOTE, fix="safe")
def check(code: Code) -> Iterator[Remark]:
    """Say where an old name of mixed precision stands."""
    for call, name in code.calls:
        if name in _NAMES:
            device, last = _NAMES[name]
            yield Remark(
                node=call,
                message=f'torch.{device}.amp.{last} is deprecated. Write torch.amp.{last}("{device}").',
                fix=_fix(code, call, device, last),
            )
        elif name.startswith("apex.amp."):
            yield Remark(node=call, message="apex.amp is no longer maintained. Use torch.amp.")


def _fix(code: Code, call: ast.Call, device: str, last: str) -> Fix | None:
    """The new name and the device as the first argument, where the old is written out in full."""
    if not isinstance(call.func, ast.Attribute) or _torch(call.func) is None:
        return None
    start, end = span(code, call.func)
    opening = code.text.find("(", end)
    if code.text[end:opening].strip() or opening < 0:
        return None
    given = bool(call.args or call.keywords)
    edits = (
        Edit(start=start, end=end, text=f"{_torch(call.func)}.amp.{last}"),
        Edit(start=opening + 1, end=opening + 1, text=f'"{device}"' + (", " if given else "")),
    )
    return Fix(message=f"write torch.amp.{last}", edits=edits, safe=True)


def _torch(func: ast.expr) -> str | None:
    """The name under which torch itself was imported, in `torch.cuda.amp.x`."""
    depth = 0
    while isinstance(func, ast.Attribute):
        func, depth = func.value, depth + 1
    return func.id if isinstance(func, ast.Name) and depth >= 3 else None
