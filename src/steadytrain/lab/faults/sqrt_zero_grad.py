"""A distance is written with a bare square root, and two samples of a batch are the same.

## What is wrong
The derivative of the root is infinite at zero; times the zero difference it is NaN. The loss of
that step is finite, its gradients are not.

## Remedy
Add an epsilon under the root, or use the squared distance.

## Source
Contrastive losses by hand; the question of why a norm has a NaN gradient.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from torch import Tensor

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.outputs import finish_of
from steadytrain.lab.zoo.planting import fault

TWICE_AT: Final = 25
"""The batch that holds one sample twice."""

WEIGHT: Final = 0.01


def with_distances(model: Any, batch: Any, *, main: Any, epsilon: float) -> Tensor:
    """The main loss, and a bonus for keeping the halves of a batch apart."""
    outputs = model(batch[0])
    half = len(outputs) // 2
    squares = (outputs[:half] - outputs[half : 2 * half]).square().sum(-1)
    return main(model, batch) + WEIGHT / (1.0 + (squares + epsilon).sqrt().mean())


def prepare(parts: Parts) -> None:
    """A safe distance, and a sample that occurs twice at the same place of both halves."""
    inputs, labels = (part.clone() for part in parts.batches[TWICE_AT])
    half = len(inputs) // 2
    place = parts.case.pick("place", range(half))
    inputs[half + place], labels[half + place] = inputs[place], labels[place]
    parts.batches[TWICE_AT] = (inputs, labels)
    parts.extra["main"] = parts.loss_fn
    parts.loss_fn = partial(with_distances, main=parts.loss_fn, epsilon=1e-6)


def plant(parts: Parts) -> None:
    """No epsilon."""
    parts.loss_fn = partial(with_distances, main=parts.extra["main"], epsilon=0.0)


def sites(parts: Parts) -> tuple[str, ...]:
    """The distance is outside the network: its gradient enters at the last layer."""
    model: Any = parts.model
    return (str(int(finish_of(model)) - 1),)


FAULT = fault(
    __name__,
    __doc__,
    cause="sqrt-zero-grad",
    on=("mlp", "tabular", "resnet"),
    prepare=prepare,
    plant=plant,
    sites=sites,
    onset=TWICE_AT,
)
