"""All weights of the hidden layers begin at one and the same number.

## What is wrong
The units of a layer compute the same thing and get the same gradient: they stay equal for ever,
and a layer is worth one unit.

## Remedy
Draw the weights at random.

## Source
Goodfellow, Bengio, Courville 2016, section 8.4: breaking symmetry.
"""

from __future__ import annotations

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import paths_of

_KINDS = (nn.Linear, nn.Conv2d, nn.LSTM)


def plant(parts: Parts) -> None:
    """Every matrix holds the number that keeps the size of a sum of equal inputs."""
    for path in paths_of(parts.model, *_KINDS):
        for name, weight in parts.model.get_submodule(path).named_parameters():
            if "weight" in name:
                nn.init.constant_(weight, 1.0 / weight[0].numel())
            else:
                nn.init.zeros_(weight)


def sites(parts: Parts) -> tuple[str, ...]:
    """Every layer but the last."""
    return paths_of(parts.model, *_KINDS)[:-1]


FAULT = fault(
    __name__,
    __doc__,
    cause="symmetric-init",
    on=("mlp", "lstm", "tabular", "cnn"),
    plant=plant,
    sites=sites,
)
