"""A backward pass or step by hand where Lightning does both itself.

## What it sees
`loss.backward()`, `optimizer.step()` or `zero_grad()` in the `training_step` of a LightningModule
that has automatic optimization on.

## Why it matters
Lightning computes the gradients again and steps again: gradients count twice, or the graph is
gone and it raises.

## Flagged
    import lightning as L
    import torch.nn.functional as F
    class Model(L.LightningModule):
        def training_step(self, batch, batch_idx):
            x, y = batch
            loss = F.cross_entropy(self(x), y)
            loss.backward()
            return loss

## Use instead
    import lightning as L
    import torch.nn.functional as F
    class Model(L.LightningModule):
        def training_step(self, batch, batch_idx):
            x, y = batch
            loss = F.cross_entropy(self(x), y)
            return loss

## What to do
Return the loss and leave the rest to Lightning; or set `self.automatic_optimization = False` and
use `self.manual_backward(loss)`.

## Source
Lightning documentation, "Manual optimization".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.losses import is_manual


@lint_check(code="LOP124", causes=("step-order",))
def check(code: Code) -> Iterator[Remark]:
    """Say where a step is taken behind Lightning's back."""
    for cls in code.classes():
        step = cls.methods.get("training_step")
        if step is None or not code.is_lightning(cls) or is_manual(cls.node):
            continue
        for node in ast.walk(step):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            optimizer = code.kinds.is_a("optimizer", node.func.value, code.frame(node))
            back = node.func.attr == "backward" and not node.args
            if back or (optimizer and node.func.attr in ("step", "zero_grad")):
                yield Remark(
                    node=node,
                    message=f"Lightning runs backward and step itself: .{node.func.attr}() by hand "
                    "does it twice. Return the loss, or set automatic_optimization = False.",
                )
