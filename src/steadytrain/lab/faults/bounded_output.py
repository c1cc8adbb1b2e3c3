"""A regression's targets lie where its output cannot go.

## What is wrong
The targets were shifted to 2 and more when the unit changed; the network still ends in a sigmoid.
The loss falls to the distance between 1 and the targets and stays there, with no gradient left.

## Remedy
Bring the targets into the output's range, or end in a linear layer.

## Source
Targets rescaled after the network was written.
"""

from __future__ import annotations

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.outputs import finish_of, finish_with
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.regressions import Batch


def prepare(parts: Parts) -> None:
    """Targets between 0 and 1, and an output in that range."""

    def within(batch: Batch) -> Batch:
        return batch[0], (0.5 + batch[1] / 6.0).clamp(0.0, 1.0)

    parts.batches = [within(batch) for batch in parts.batches]
    parts.validation = within(parts.validation)
    finish_with(parts.model, nn.Sigmoid())
    parts.rate *= 3


def plant(parts: Parts) -> None:
    """The targets in another unit."""
    shift = parts.case.pick("shift", (2.0, 4.0))

    def shifted(batch: Batch) -> Batch:
        return batch[0], batch[1] + shift

    parts.batches = [shifted(batch) for batch in parts.batches]
    parts.validation = shifted(parts.validation)


def sites(parts: Parts) -> tuple[str, ...]:
    """The last activation."""
    return (str(int(finish_of(parts.model)) - 1),)


FAULT = fault(
    __name__,
    __doc__,
    cause="infeasible-target",
    also=("output-activation-mismatch", "saturated-activation"),
    on=("tabular",),
    plant=plant,
    prepare=prepare,
    sites=sites,
    is_sudden=False,
    steps=300,
)
