"""The generators are seeded anew at every pass of a training loop.

## What it sees
`torch.manual_seed` and its like with the same value in a loop over batches or epochs that trains.

## Why it matters
Every pass repeats the same dropout masks, noise and order of the data: the regularisation that
they are there for is gone.

## Flagged
    import torch
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(10):
        torch.manual_seed(0)
        for x, y in loader:
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()
            optimizer.step()

## Use instead
    import torch
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(10):
        for x, y in loader:
            optimizer.zero_grad()
            ((model(x) - y) ** 2).mean().backward()
            optimizer.step()

## What to do
Seed once before the loop, or with a value that changes: `torch.manual_seed(seed + epoch)`.

## Source
PyTorch documentation, "Reproducibility".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.scopes import LOOPS

_SEEDS: Final = {"torch.manual_seed", "torch.random.manual_seed", "torch.cuda.manual_seed",
                 "torch.cuda.manual_seed_all", "numpy.random.seed", "random.seed",
                 "lightning.pytorch.seed_everything", "accelerate.utils.set_seed"}  # fmt: skip


@lint_check(code="LOP118", causes=("duplicate-batches", "data-not-shuffled"))
def check(code: Code) -> Iterator[Remark]:
    """Say where the same seed is set again and again."""
    for call, name in code.calls:
        if name not in _SEEDS or not call.args:
            continue
        loops = code.places.loops(call)
        changing = {n.id for n in ast.walk(call.args[0]) if isinstance(n, ast.Name)}
        if loops and _trains(loops[0]) and not changing & _changed(loops):
            yield Remark(
                node=call,
                message="The generators are set back to the same seed at every pass: dropout, noise "
                "and shuffling repeat. Seed once before the loop.",
            )


def _trains(loop: ast.AST) -> bool:
    return any(isinstance(n, ast.Attribute) and n.attr == "backward" for n in ast.walk(loop))


def _changed(loops: list[ast.AST]) -> set[str]:
    """Names that get a value in the loops."""
    names = {
        node.id
        for loop in loops
        for node in ast.walk(loop)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    assert all(isinstance(loop, LOOPS) for loop in loops)
    return names
