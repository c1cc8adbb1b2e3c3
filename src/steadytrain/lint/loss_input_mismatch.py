"""A loss is given another form of output than it takes.

## What it sees
`nll_loss` or `kl_div` of raw scores or probabilities instead of log-probabilities;
`binary_cross_entropy` of raw scores; a rectified or tanh output given as logits.

## Why it matters
The loss has no lower bound, or is NaN, or cannot express a negative score.

## Flagged
    import torch
    import torch.nn.functional as F
    model = torch.nn.Linear(4, 3)
    for x, y in loader:
        loss = F.nll_loss(model(x), y)

## Use instead
    import torch
    import torch.nn.functional as F
    model = torch.nn.Linear(4, 3)
    for x, y in loader:
        loss = F.nll_loss(F.log_softmax(model(x), dim=1), y)

## What to do
Use the loss that takes what the model gives: `cross_entropy` for logits,
`binary_cross_entropy_with_logits` for one; no activation behind the last layer.

## Source
PyTorch documentation, the input of each loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from steadytrain.core.finding import Severity
from steadytrain.lint._check import Remark, lint_check
from steadytrain.lint._code.code import Code
from steadytrain.lint._code.objectives import loss_calls, prediction_of

_LOG = "log-probabilities"
_WRONG: Final = {
    ("NLLLoss", "linear"): (_LOG, "raw scores"),
    ("NLLLoss", "softmax"): (_LOG, "probabilities"),
    ("NLLLoss", "sigmoid"): (_LOG, "probabilities"),
    ("NLLLoss", "relu"): (_LOG, "rectified scores"),
    ("KLDivLoss", "softmax"): (_LOG, "probabilities"),
    ("KLDivLoss", "linear"): (_LOG, "raw scores"),
    ("BCELoss", "linear"): ("probabilities", "raw scores"),
    ("BCELoss", "relu"): ("probabilities", "rectified scores"),
    ("BCELoss", "tanh"): ("probabilities", "values from -1 to 1"),
    ("BCELoss", "log_softmax"): ("probabilities", _LOG),
    ("BCELoss", "logsigmoid"): ("probabilities", _LOG),
    ("CrossEntropyLoss", "relu"): ("logits", "rectified scores"),
    ("CrossEntropyLoss", "tanh"): ("logits", "values from -1 to 1"),
    ("BCEWithLogitsLoss", "relu"): ("logits", "rectified scores"),
    ("BCEWithLogitsLoss", "tanh"): ("logits", "values from -1 to 1"),
    ("BCEWithLogitsLoss", "log_softmax"): ("logits", _LOG),
}


@lint_check(
    code="LOS103",
    causes=("loss-input-mismatch", "output-activation-mismatch"),
    severity=Severity.CRITICAL,
)
def check(code: Code) -> Iterator[Remark]:
    """Say where loss and output do not fit."""
    for name, call in loss_calls(code):
        prediction = prediction_of(code, call)
        form = code.forms.of(prediction, code.frame(call)) if prediction is not None else None
        if form is None or prediction is None or (name, form.name) not in _WRONG:
            continue
        wanted, found = _WRONG[name, form.name]
        yield Remark(
            node=prediction,
            message=f"{name} takes {wanted}, but is given {found} from line "
            f"{getattr(form.node, 'lineno', 0)}. Use the loss that fits the output.",
        )
