"""The loss takes the logarithm of a count that is zero in one of the batches.

## What is wrong
Counts are compared on a logarithmic scale, and the first one that is zero makes the loss infinite
and every gradient with it.

## Remedy
`log1p`, or a floor under the argument.

## Source
The squared logarithmic error of count data, which is defined with `log1p` for this reason.
"""

from __future__ import annotations

from typing import Any, Final

from torch import Tensor
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.outputs import finish_of, replace_last
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.regressions import Batch

ZERO_AT: Final = 25
"""The batch that holds the first zero."""


def _counts(parts: Parts, targets: Tensor) -> Tensor:
    """Counts from one up. Shape: [n, 1]."""
    if parts.case.architecture == "tabular":
        return (2 * targets).exp().round().clamp(min=1.0)
    return targets.float().clamp(min=1.0).unsqueeze(1)


def safe_error(model: Any, batch: Batch) -> Tensor:
    """On the scale of log(1 + count)."""
    return functional.mse_loss(model(batch[0]), batch[1].log1p())


def bare_error(model: Any, batch: Batch) -> Tensor:
    """On the scale of log(count)."""
    return functional.mse_loss(model(batch[0]), batch[1].log())


def prepare(parts: Parts) -> None:
    """Targets are counts, one of them zero; the error is that of log(1 + count)."""
    if parts.case.architecture != "tabular":
        replace_last(parts, 1)
    parts.batches = [(inputs, _counts(parts, targets)) for inputs, targets in parts.batches]
    parts.batches[ZERO_AT][1][parts.case.pick("zero", range(32))] = 0.0
    inputs, targets = parts.validation
    parts.validation = (inputs, _counts(parts, targets))
    parts.loss_fn = safe_error
    parts.metric_fn = lambda model, batch: -float(safe_error(model, batch).detach())


def plant(parts: Parts) -> None:
    """The error is that of log(count)."""
    parts.loss_fn = bare_error


def sites(parts: Parts) -> tuple[str, ...]:
    """The loss is outside the network: its gradient enters at the last layer."""
    model: Any = parts.model
    return (str(int(finish_of(model)) - 1),)


FAULT = fault(
    __name__,
    __doc__,
    cause="log-of-zero",
    on=("tabular", "mlp"),
    prepare=prepare,
    plant=plant,
    sites=sites,
    onset=ZERO_AT,
)
