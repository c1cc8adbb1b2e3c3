"""Every step of the run is taken on the same batch.

## What is wrong
`next(iter(loader))` stands inside the loop: a new iterator at every step, and its first batch each
time. The loss falls to nothing, the validation does not follow.

## Remedy
Make the iterator once, before the loop.

## Source
A much asked question about losses that fall while accuracy does not rise.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """As many batches as before, all of them the first."""
    parts.batches = [parts.batches[0]] * len(parts.batches)


FAULT = fault(
    __name__,
    __doc__,
    cause="duplicate-batches",
    also=("overfitting",),
    on=("mlp", "cnn", "gpt", "tabular"),
    plant=plant,
    seen=("preflight",),
)
