"""The network ends in probabilities, and its loss turns them into probabilities once more.

## What is wrong
A softmax stands before a cross entropy that holds one itself, or a sigmoid before a binary cross
entropy with logits: the gradient is weak and the loss cannot fall below its floor.

## Remedy
Give the loss the logits.

## Source
Among the most asked mistakes of classification; TheDeepChecker's redundant output activation.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.outputs import finish_of, finish_with
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """Classifiers and language models get a softmax, the discriminator a sigmoid."""
    model: Any = parts.model
    if parts.case.architecture == "gan":
        finish_with(model.discriminator, nn.Sigmoid())
    else:
        finish_with(model, nn.Softmax(dim=-1))


def sites(parts: Parts) -> tuple[str, ...]:
    """The output that is a probability."""
    model: Any = parts.model
    if parts.case.architecture == "gan":
        return (f"discriminator.{finish_of(model.discriminator)}",)
    return (finish_of(model),)


FAULT = fault(
    __name__,
    __doc__,
    cause="double-softmax",
    on=("mlp", "cnn", "gan", "gpt"),
    plant=plant,
    sites=sites,
)
