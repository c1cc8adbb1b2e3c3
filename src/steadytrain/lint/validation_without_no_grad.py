"""A model is measured on held-out data while graphs are recorded.

## What it sees
A loop over validation or test data, or one in a function named for evaluation, that runs a model
and never trains, with no `no_grad` or `inference_mode` around it here or in the callers.

## Why it matters
Every forward pass builds a graph that nobody uses: twice the memory, and a sum of losses keeps
all of them.

## Flagged
    import torch
    model = torch.nn.Linear(4, 3)
    def validate(model, val_loader):
        model.eval()
        correct = 0
        for x, y in val_loader:
            correct += (model(x).argmax(1) == y).sum().item()
        return correct

## Use instead
    import torch
    model = torch.nn.Linear(4, 3)
    @torch.no_grad()
    def validate(model, val_loader):
        model.eval()
        correct = 0
        for x, y in val_loader:
            correct += (model(x).argmax(1) == y).sum().item()
        return correct

## What to do
Decorate the function with `@torch.no_grad()`, or put the loop under `with torch.no_grad():`.

## Source
PyTorch documentation, "Autograd mechanics: no-grad mode".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import partial
from typing import Final

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.callers import any_caller
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.evaluation import evaluations, in_framework

_OFF: Final = {"no_grad", "inference_mode", "set_grad_enabled", "volatile"}


@lint_check(code="LOP111", causes=("graph-retained",))
def check(code: Code) -> Iterator[Remark]:
    """Say where a measurement records graphs."""
    for one in evaluations(code):
        if not any_caller(code, one.loop, partial(_switches_off, code)) and not in_framework(
            code, one.loop
        ):
            yield Remark(
                node=one.forward,
                message="The model is measured while graphs are recorded for nobody: memory doubles. "
                "Put the measurement under torch.no_grad().",
            )


def _switches_off(code: Code, node: ast.AST) -> bool:
    """Whether gradients are switched off in `node` or around it."""
    inside = any(_name(inner) in _OFF for inner in ast.walk(node))
    return inside or code.without_gradient(node)


def _name(node: ast.AST) -> str:
    return getattr(node, "attr", "") or getattr(node, "id", "") or getattr(node, "arg", "") or ""
