"""A model is measured on held-out data in training mode.

## What it sees
A loop over validation or test data, or one in a function named for evaluation, that runs a model
and never trains, where no `eval()` comes before it: not here, not in the callers in the file.

## Why it matters
Dropout stays on and batch normalisation uses the batch, and learns from the held-out data.

## Flagged
    import torch
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.1))
    def validate(model, val_loader):
        correct = 0
        with torch.no_grad():
            for x, y in val_loader:
                correct += (model(x).argmax(1) == y).sum().item()
        return correct

## Use instead
    import torch
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Dropout(0.1))
    def validate(model, val_loader):
        model.eval()
        correct = 0
        with torch.no_grad():
            for x, y in val_loader:
                correct += (model(x).argmax(1) == y).sum().item()
        return correct

## What to do
Call `model.eval()` before the measurement and `model.train()` after it.

## Source
PyTorch documentation, `torch.nn.Module.eval`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.callers import any_caller
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.evaluation import Evaluation, evaluations, in_framework

_MODES: Final = ("drop", "batchnorm", "instancenorm", "transformer", "multihead", "training")
"""Parts of the names of layers that behave differently in evaluation."""


@lint_check(code="LOP110", causes=("train-mode-in-eval",))
def check(code: Code) -> Iterator[Remark]:
    """Say where a model is measured in training mode."""
    for one in evaluations(code):
        if _mode_matters(code, one) and not _is_set(code, one) and not in_framework(code, one.loop):
            yield Remark(
                node=one.forward,
                message="The model is measured on held-out data without model.eval(): dropout stays on and "
                "batch statistics are those of the batch. Call model.eval() before.",
            )


def _mode_matters(code: Code, one: Evaluation) -> bool:
    """Whether the model may have layers that differ in training, where they can all be seen."""
    kind = code.kinds.of(one.model, one.frame)
    seen = kind is not None and (kind.cls is not None or kind.maker == "torch.nn.Sequential")
    words = {word.lower() for word in code.index.words}
    return not seen or any(part in word for word in words for part in _MODES)


def _is_set(code: Code, one: Evaluation) -> bool:
    return any_caller(code, one.loop, _calls_eval) or _mode_by_hand(code)


def _calls_eval(node: ast.AST) -> bool:
    """Whether `node`, or what is in it, sets a mode."""
    return any(
        isinstance(inner, ast.Attribute) and inner.attr in ("eval", "train", "training")
        for inner in ast.walk(node)
    )


def _mode_by_hand(code: Code) -> bool:
    return code.has("evaluating", "eval_mode", "set_eval", "train_mode")
