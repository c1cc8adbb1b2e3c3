"""A distributed sampler that shuffles the same way at every epoch.

## What it sees
A `DistributedSampler` that shuffles, a loop over epochs that trains, and no `set_epoch` in the file.

## Why it matters
The sampler seeds its shuffle with the epoch it is told: untold, every epoch has the same order.

## Flagged
    import torch
    from torch.utils.data import DataLoader, DistributedSampler
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sampler = DistributedSampler(data)
    loader = DataLoader(data, sampler=sampler)
    for epoch in range(10):
        for x, y in loader:
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()
            optimizer.step()

## Use instead
    import torch
    from torch.utils.data import DataLoader, DistributedSampler
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sampler = DistributedSampler(data)
    loader = DataLoader(data, sampler=sampler)
    for epoch in range(10):
        sampler.set_epoch(epoch)
        for x, y in loader:
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()
            optimizer.step()

## What to do
Call `sampler.set_epoch(epoch)` at the start of every epoch.

## Source
PyTorch documentation, `torch.utils.data.distributed.DistributedSampler`, warning.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.scopes import FUNCTIONS, dotted


@lint_check(code="DAT102", causes=("data-not-shuffled", "duplicate-batches"))
def check(code: Code) -> Iterator[Remark]:
    """Say which sampler is never told the epoch."""
    if code.has("set_epoch") or not _trains_in_epochs(code):
        return
    for call, name in code.calls:
        if name.startswith("torch.utils.data") and name.endswith("DistributedSampler"):
            shuffle = code.keyword(call, "shuffle")
            named = [dotted(t) or "" for t in getattr(code.places.statement(call), "targets", [])]
            held_out = any(word in name for name in named for word in ("val", "test", "eval"))
            if (shuffle is None or code.is_literal(shuffle, value=True)) and not held_out:
                yield Remark(
                    node=call,
                    message="The sampler shuffles the same way at every epoch. Call "
                    "sampler.set_epoch(epoch) at the start of each.",
                )


def _trains_in_epochs(code: Code) -> bool:
    """Whether there is a loop around the loop that steps."""
    return any(
        event.kind == "step" and event.loop is not None and event.loop.outer is not None
        and not isinstance(event.loop.outer.node, FUNCTIONS) and isinstance(event.loop.node, ast.For)
        for trace in code.traces
        for event in trace.events
    )  # fmt: skip
