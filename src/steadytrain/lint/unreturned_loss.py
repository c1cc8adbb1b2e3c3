"""A Lightning `training_step` that returns no loss.

## What it sees
A LightningModule with automatic optimization whose `training_step` computes a loss and has no
return statement.

## Why it matters
Lightning skips the batch when it gets None: nothing is trained, and only a warning says so.

## Flagged
    import lightning as L
    import torch.nn.functional as F
    class Model(L.LightningModule):
        def training_step(self, batch, batch_idx):
            x, y = batch
            loss = F.cross_entropy(self(x), y)
            self.log("loss", loss)

## Use instead
    import lightning as L
    import torch.nn.functional as F
    class Model(L.LightningModule):
        def training_step(self, batch, batch_idx):
            x, y = batch
            loss = F.cross_entropy(self(x), y)
            self.log("loss", loss)
            return loss

## What to do
Return the loss, or a dictionary with the key `"loss"`.

## Source
Lightning documentation, `LightningModule.training_step`: None skips to the next batch.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.losses import is_manual


@lint_check(code="LOP123", causes=("missing-optimizer-step",), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where Lightning gets nothing to go back from."""
    for cls in code.classes():
        step = cls.methods.get("training_step")
        if step is None or not code.is_lightning(cls) or is_manual(cls.node):
            continue
        inside = list(ast.walk(step))
        leaves = any(isinstance(n, ast.Return | ast.Raise | ast.Yield) for n in inside)
        if not leaves and any("loss" in getattr(n, "id", "") for n in inside):
            yield Remark(
                node=step.body[-1],
                message="training_step returns no loss, so Lightning skips every batch and trains "
                "nothing. Return the loss.",
            )
