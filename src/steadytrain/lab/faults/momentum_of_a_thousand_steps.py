"""SGD's momentum sums the gradients of a thousand steps.

## What is wrong
At 0.999 the velocity grows to a thousand gradients: the weights swing past every minimum and
come back hundreds of steps later, if at all.

## Remedy
0.9; when raising the momentum, lower the rate by as much as 1 - momentum falls.

## Source
Sutskever et al. 2013: a large momentum needs a small rate and is for the end of the run.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.optimizing import use_sgd
from steadytrain.lab.zoo.planting import fault


def prepare(parts: Parts) -> None:
    """SGD with a momentum of 0.9 and no clip."""
    use_sgd(parts)
    parts.clip = None


def plant(parts: Parts) -> None:
    """A momentum a hundred times closer to one, at the same rate."""
    parts.optimizer_options["momentum"] = parts.case.pick("momentum", (0.998, 0.999))


FAULT = fault(
    __name__,
    __doc__,
    cause="momentum-too-high",
    on=("mlp", "tabular", "cnn", "lstm"),
    plant=plant,
    prepare=prepare,
    is_sudden=False,
)
