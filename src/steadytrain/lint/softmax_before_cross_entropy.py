"""Probabilities are given to a loss that takes logits.

## What it sees
An output of softmax or sigmoid given to `cross_entropy`: in the call, through names, out of the
`forward` of a module of the file, or as the last layer of an `nn.Sequential`.

## Why it matters
The loss takes the softmax of the softmax: it cannot fall below a floor, its gradients shrink, and
training stalls without an error.

## Flagged
    import torch
    from torch import nn
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 3)
        def forward(self, x):
            return torch.softmax(self.fc(x), dim=1)
    model = Net()
    criterion = nn.CrossEntropyLoss()
    for x, y in loader:
        loss = criterion(model(x), y)

## Use instead
    import torch
    from torch import nn
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 3)
        def forward(self, x):
            return self.fc(x)
    model = Net()
    criterion = nn.CrossEntropyLoss()
    for x, y in loader:
        loss = criterion(model(x), y)

## What to do
Return the logits; take the softmax where probabilities are read.

## Source
PyTorch documentation, `torch.nn.CrossEntropyLoss`: the input holds unnormalized logits.
"""

from __future__ import annotations

from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.objectives import loss_calls, prediction_of

_WRONG = {"softmax": "softmax", "sigmoid": "a sigmoid"}


@lint_check(code="LOS101", causes=("double-softmax",), severity=Severity.CRITICAL)
def check(code: Code) -> Iterator[Remark]:
    """Say where cross-entropy gets probabilities."""
    for name, call in loss_calls(code):
        prediction = prediction_of(code, call) if name == "CrossEntropyLoss" else None
        form = code.forms.of(prediction, code.frame(call)) if prediction is not None else None
        if form is None or prediction is None:
            continue
        if form.name in _WRONG:
            yield Remark(
                node=prediction,
                message=f"cross-entropy takes logits, but this went through {_WRONG[form.name]} in "
                f"line {getattr(form.node, 'lineno', 0)}. Give it what comes before.",
            )
        elif form.name == "log_softmax":
            yield Remark(
                node=prediction,
                message="cross-entropy takes the log-softmax itself: a second one changes nothing but "
                "costs time. Give it the logits, or use nll_loss.",
                severity=Severity.NOTE,
            )
