"""The hidden layers stand in a plain Python list.

## What is wrong
`nn.Module` finds what is an attribute, not what is in a list: the layers are run, and neither
trained, nor moved to another device, nor saved.

## Remedy
`nn.ModuleList` or `nn.Sequential`.

## Source
PyTorch's documentation of `nn.ModuleList`; a standing question of beginners.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import linears


class Listed(nn.Module):
    """An MLP whose hidden layers nobody registers."""

    def __init__(self, hidden: list[nn.Linear], head: nn.Linear) -> None:
        super().__init__()
        self.hidden = hidden
        self.head = head

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        for layer in self.hidden:
            x = layer(x).relu()
        return self.head(x)


def plant(parts: Parts) -> None:
    """The same layers with the same weights; only the last is an attribute."""
    *hidden, head = [layer for _, layer in linears(parts.model)]
    assert all(one.out_features == two.in_features for one, two in pairwise([*hidden, head]))
    parts.model = Listed(hidden, head)


FAULT = fault(
    __name__,
    __doc__,
    cause="params-not-registered",
    on=("mlp", "tabular"),
    plant=plant,
    seen=("preflight", "lint"),
)
