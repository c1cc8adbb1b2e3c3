"""The loss is summed where its mean is meant.

## What is wrong
The gradient is as many times too large as the batch has samples or tokens, and with it every step
of an optimizer that follows the gradient's size.

## Remedy
Take the mean, or divide the rate by the number of terms.

## Source
`reduction="sum"` copied with the rate of a mean.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.regressions import squared_error


def prepare(parts: Parts) -> None:
    """Plain gradient descent without a clip: Adam and a clip would both hide the factor."""
    rate = 20 * parts.rate
    parts.make_optimizer = lambda own: _descent(own, rate)
    parts.clip = None


def _descent(parts: Parts, rate: float) -> Any:
    from torch.optim import SGD

    return SGD(parts.model.parameters(), lr=rate, momentum=0.9)


def summed(model: Any, batch: Any) -> Tensor:
    """The sum over samples, or over tokens."""
    if isinstance(batch, Tensor):
        logits = model(batch[:, :-1]).flatten(0, 1)
        return functional.cross_entropy(logits, batch[:, 1:].flatten(), reduction="sum")
    return functional.cross_entropy(model(batch[0]), batch[1], reduction="sum")


def plant(parts: Parts) -> None:
    """The sum instead of the mean."""
    if parts.case.architecture == "tabular":
        parts.loss_fn = lambda model, batch: squared_error(model, batch) * len(batch[0])
    else:
        parts.loss_fn = summed


FAULT = fault(
    __name__,
    __doc__,
    cause="loss-reduction",
    on=("mlp", "tabular", "lstm"),
    prepare=prepare,
    plant=plant,
)
