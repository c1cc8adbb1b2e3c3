"""A backward pass around the framework that scales and divides the loss.

## What it sees
`loss.backward()` in a loop whose model or optimizer was prepared by Accelerate or set up by Fabric.

## Why it matters
`accelerator.backward` and `fabric.backward` scale the loss in mixed precision, divide it when
accumulating and know about sharded models. A bare call does none of it.

## Flagged
    import torch
    from accelerate import Accelerator
    accelerator = Accelerator(mixed_precision="fp16")
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    for x, y in loader:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()

## Use instead
    import torch
    from accelerate import Accelerator
    accelerator = Accelerator(mixed_precision="fp16")
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    for x, y in loader:
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        accelerator.backward(loss)
        optimizer.step()

## What to do
Call `accelerator.backward(loss)` or `fabric.backward(loss)`.

## Source
Accelerate documentation, "Migrating your code"; Fabric documentation, "Convert PyTorch code".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code


@lint_check(code="LOP125", causes=("fp16-underflow", "accum-not-divided"))
def check(code: Code) -> Iterator[Remark]:
    """Say where the framework is passed by."""
    actor = _actor(code)
    if actor is None:
        return
    for trace in code.traces:
        for event in trace.events:
            if (
                event.kind == "backward"
                and not event.owner
                and not event.scaled
                and isinstance(event.node, ast.Call)
                and not event.node.args
                and _alone(code, actor)
            ):
                yield Remark(
                    node=event.node,
                    message=f"loss.backward() goes around {actor}, which scales and divides the "
                    f"loss. Call {actor}.backward(loss).",
                )


def _actor(code: Code) -> str | None:
    """The name of the accelerator or fabric that prepares a model in this file."""
    for method in ("prepare", "setup", "setup_module"):
        for call in code.methods.get(method, ()):
            assert isinstance(call.func, ast.Attribute)
            kind = code.kinds.of(call.func.value, code.frame(call))
            if kind is not None and kind.name in ("accelerator", "fabric") and not kind.guessed:
                return ast.unparse(call.func.value)
    return None


def _alone(code: Code, actor: str) -> bool:
    """Whether nothing in the file says that there is also a way without the framework."""
    name = actor.rpartition(".")[2]
    return not any(name in ast.unparse(node.test) for node in code.index.of(ast.If) if isinstance(node, ast.If)
                   and "None" in ast.unparse(node.test))  # fmt: skip
