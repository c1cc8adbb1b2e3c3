"""Probabilities are given to a binary loss that takes logits.

## What it sees
An output of sigmoid or softmax given to `binary_cross_entropy_with_logits`, also through names and
out of modules of the file.

## Why it matters
The loss takes the sigmoid of the sigmoid: predictions stay between 0.5 and 0.73, and the loss
cannot fall below 0.31 for a positive.

## Flagged
    import torch
    import torch.nn.functional as F
    model = torch.nn.Linear(4, 1)
    for x, y in loader:
        p = torch.sigmoid(model(x))
        loss = F.binary_cross_entropy_with_logits(p, y)

## Use instead
    import torch
    import torch.nn.functional as F
    model = torch.nn.Linear(4, 1)
    for x, y in loader:
        loss = F.binary_cross_entropy_with_logits(model(x), y)

## What to do
Give the loss the logits.

## Source
PyTorch documentation, `torch.nn.BCEWithLogitsLoss`: it combines a sigmoid and the loss.
"""

from __future__ import annotations

from collections.abc import Iterator

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.objectives import loss_calls, prediction_of


@lint_check(
    code="LOS102", causes=("double-softmax", "loss-input-mismatch"), severity=Severity.CRITICAL
)
def check(code: Code) -> Iterator[Remark]:
    """Say where a loss of logits gets probabilities."""
    for name, call in loss_calls(code):
        prediction = prediction_of(code, call) if name == "BCEWithLogitsLoss" else None
        form = code.forms.of(prediction, code.frame(call)) if prediction is not None else None
        if form is not None and prediction is not None and form.name in ("sigmoid", "softmax"):
            yield Remark(
                node=prediction,
                message=f"This loss takes logits, but it is given a {form.name} from line "
                f"{getattr(form.node, 'lineno', 0)}. Give it what comes before.",
            )
