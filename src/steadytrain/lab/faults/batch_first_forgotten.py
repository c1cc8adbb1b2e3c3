"""A recurrent network takes the batch for time.

## What is wrong
Without `batch_first=True` the first dimension is time: the state runs through the samples of the
batch, and each character is predicted without those before it.

## Remedy
`batch_first=True`, or time first in the data.

## Source
PyTorch's default against its users' layout; nothing raises, since both shapes are legal.
"""

from __future__ import annotations

from typing import Any

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """The cell as it is without the argument."""
    model: Any = parts.model
    model.cell.batch_first = False


FAULT = fault(
    __name__,
    __doc__,
    cause="wrong-axis",
    on=("lstm",),
    plant=plant,
    sites=lambda _: ("cell",),
    seen=("preflight",),
)
