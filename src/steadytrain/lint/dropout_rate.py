"""A dropout that drops nearly everything.

## What it sees
`nn.Dropout` or `F.dropout` with a rate of 0.8 or more.

## Why it matters
PyTorch's number is the share that is dropped; in other frameworks it was the share that is kept.
At 0.9 a tenth of the signal is left.

## Flagged
    from torch import nn
    drop = nn.Dropout(p=0.9)

## Use instead
    from torch import nn
    drop = nn.Dropout(p=0.1)

## What to do
Give the share to drop, 0.1 to 0.5.

## Source
PyTorch documentation, `torch.nn.Dropout`: p is the probability of an element to be zeroed.
"""

from __future__ import annotations

from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code

MAX_RATE = 0.8


@lint_check(code="INI106", causes=("dropout-too-high",))
def check(code: Code) -> Iterator[Remark]:
    """Say where little of the signal is left."""
    for call, name in code.calls:
        home, _, last = name.rpartition(".")
        module = home == "torch.nn" and "Dropout" in last
        if not module and not (home == "torch.nn.functional" and last.startswith("dropout")):
            continue
        rate = code.number(code.keyword(call, "p", 0 if module else 1))
        if rate is not None and not rate < MAX_RATE:
            yield Remark(
                node=call,
                message=f"{rate:g} is the share that is dropped, not the share that is kept. Write "
                f"{1 - rate:.3g} if that was meant.",
            )
