"""The generator's loss is cut off from the generator.

## What it sees
A generated tensor is given to the discriminator with `.detach()`, the loss is backpropagated, and
then the generator's optimizer steps.

## Why it matters
The generator gets no gradient from this loss and never learns.

## Flagged
    import torch
    from torch import nn
    netG, netD = nn.Linear(8, 4), nn.Linear(4, 1)
    criterion = nn.BCEWithLogitsLoss()
    opt_g = torch.optim.Adam(netG.parameters())
    opt_d = torch.optim.Adam(netD.parameters())
    for real in loader:
        fake = netG(torch.randn(16, 8))
        opt_d.zero_grad()
        loss_d = criterion(netD(real), ones) + criterion(netD(fake.detach()), zeros)
        loss_d.backward()
        opt_d.step()
        opt_g.zero_grad()
        loss_g = criterion(netD(fake.detach()), ones)
        loss_g.backward()
        opt_g.step()

## Use instead
    import torch
    from torch import nn
    netG, netD = nn.Linear(8, 4), nn.Linear(4, 1)
    criterion = nn.BCEWithLogitsLoss()
    opt_g = torch.optim.Adam(netG.parameters())
    opt_d = torch.optim.Adam(netD.parameters())
    for real in loader:
        fake = netG(torch.randn(16, 8))
        opt_d.zero_grad()
        loss_d = criterion(netD(real), ones) + criterion(netD(fake.detach()), zeros)
        loss_d.backward()
        opt_d.step()
        opt_g.zero_grad()
        loss_g = criterion(netD(fake), ones)
        loss_g.backward()
        opt_g.step()

## What to do
Detach in the discriminator's step only.

## Source
PyTorch tutorials, "DCGAN": `netD(fake)` in the generator's step.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.events import Event
from steadytrain.lint._code.losses import unscaled
from steadytrain.lint._code.optimized import optimizers


@lint_check(code="LOP131", causes=("detached-graph",), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where the generator is cut off."""
    held = {id(built.call): built.models for built in optimizers(code)}
    for _, loop, events in code.loops:
        used = [e for e in events if e.kind in ("backward", "step") and e.loop is loop]
        for backward, step in itertools.pairwise(used):
            if backward.kind == "backward" and step.kind == "step" and not step.owner:
                cut = _cut(code, backward, _models(code, step, held))
                if cut is not None:
                    yield Remark(
                        node=cut,
                        message=f"{ast.unparse(cut)} cuts this loss off from the generator, which the "
                        "next step is to train. Detach in the discriminator's step only.",
                    )


def _models(code: Code, step: Event, held: dict[int, frozenset[str]]) -> frozenset[str]:
    """Keys of the models whose parameters the step updates."""
    func = getattr(step.node, "func", None)
    given = getattr(step.node, "args", None)
    expr = given[0] if step.scaled and given else getattr(func, "value", None)
    kind = code.kinds.of(expr, step.frame) if isinstance(expr, ast.expr) else None
    made = kind.call.expr if kind is not None and kind.call is not None else None
    return held.get(id(made), frozenset())


def _cut(code: Code, backward: Event, trained: frozenset[str]) -> ast.Call | None:
    """The `.detach()` of what a trained model made, where it is all that the loss has of that model."""
    func = getattr(backward.node, "func", None)
    if not isinstance(func, ast.Attribute) or len(trained) != 1:
        return None
    loss = code.values.assigned(unscaled(func.value), backward.frame)
    if loss is None or loss.frame.scope is not backward.frame.scope:
        return None
    found: ast.Call | None = None
    for node in ast.walk(loss.expr):
        if isinstance(node, ast.Call) and code.values.key(node.func, loss.frame) in trained:
            return None
        if isinstance(node, ast.Name):
            made = code.values.assigned(node, loss.frame)
            call = made.expr if made is not None else None
            if isinstance(call, ast.Call) and code.values.key(call.func, loss.frame) in trained:
                around = code.index.parent[node]
                outer = code.index.parent.get(around)
                if getattr(around, "attr", "") != "detach" or not isinstance(outer, ast.Call):
                    return None
                found = outer
    return found
