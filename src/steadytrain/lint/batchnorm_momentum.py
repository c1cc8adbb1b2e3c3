"""A batch normalisation whose momentum is meant the other way round.

## What it sees
`momentum` of 0.5 or more, or None, in a `BatchNorm`.

## Why it matters
In PyTorch momentum is the share of the new batch: 0.9 makes the running statistics those of the
last batch or two, and None averages over the whole training, the untrained start included.

## Flagged
    from torch import nn
    norm = nn.BatchNorm2d(64, momentum=0.99)

## Use instead
    from torch import nn
    norm = nn.BatchNorm2d(64, momentum=0.01)

## What to do
Write one minus the momentum of other frameworks: 0.1 is the default, 0.01 a slow one.

## Source
PyTorch documentation, `torch.nn.BatchNorm2d`, note on momentum.
"""

from __future__ import annotations

from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code

MAX_MOMENTUM = 0.5


@lint_check(code="INI103", causes=("batchnorm-running-stats",))
def check(code: Code) -> Iterator[Remark]:
    """Say where statistics follow the last batch, or everything."""
    for call, name in code.calls:
        if not name.startswith("torch.nn.") or "BatchNorm" not in name:
            continue
        momentum = code.keyword(call, "momentum", 2)
        number = code.number(momentum)
        if number is not None and not number < MAX_MOMENTUM:
            yield Remark(
                node=call,
                message=f"momentum={number:g} is the share of the new batch in PyTorch: the running "
                f"statistics are those of the last batch. Write {1 - number:.4g}.",
            )
        elif code.is_literal(momentum, value=None):
            yield Remark(
                node=call,
                message="momentum=None averages over the whole training, its start included. Use the "
                "default of 0.1.",
                severity=Severity.NOTE,
            )
