"""The optimizer steps, but no gradient is ever computed.

## What it sees
A loop that clears gradients, computes a loss of PyTorch's and steps the optimizer, in a file
that never says `backward` and hands neither the loss nor the optimizer to code that cannot be seen.

## Why it matters
Without gradients `step` changes nothing, and it raises nothing.

## Flagged
    import torch
    import torch.nn.functional as F
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.Adam(model.parameters())
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        optimizer.step()

## Use instead
    import torch
    import torch.nn.functional as F
    model = torch.nn.Linear(4, 3)
    optimizer = torch.optim.Adam(model.parameters())
    for x, y in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()

## What to do
Call `loss.backward()` between the loss and the step.

## Source
PyTorch documentation, `torch.optim`, "Taking an optimization step".
"""

from __future__ import annotations

from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code


@lint_check(
    code="LOP104", causes=("missing-optimizer-step", "step-order"), severity=Severity.CRITICAL
)
def check(code: Code) -> Iterator[Remark]:
    """Say where the backward pass is missing."""
    if any("backward" in word for word in code.index.words) or code.has("grad"):
        return
    for _, _, events in code.loops:
        kinds = {event.kind for event in events}
        if {"zero", "step"} <= kinds and not kinds & {"unknown", "backward", "grad"}:
            steps = [e for e in events if e.kind == "step" and not e.owner]
            if steps and not getattr(steps[-1].node, "args", ()) and _has_loss(code):
                yield Remark(
                    node=steps[-1].node,
                    message="The optimizer steps, but no backward pass computes gradients: the "
                    "weights never change. Call loss.backward() before the step.",
                )


def _has_loss(code: Code) -> bool:
    return any("loss" in name.lower() or "entropy" in name for _, name in code.calls)
