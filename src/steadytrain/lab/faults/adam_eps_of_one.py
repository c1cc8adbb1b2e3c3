"""Adam's eps is far above every gradient.

## What is wrong
What divides the step is eps and no longer the size of the gradients: Adam has become SGD with
momentum at Adam's small rate.

## Remedy
1e-8, the default.

## Source
The TensorFlow documentation names 1.0 and 0.1 for Inception on ImageNet; copied on from there.
"""

from __future__ import annotations

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


def plant(parts: Parts) -> None:
    """An eps of the size of whole gradients."""
    parts.optimizer_options["eps"] = parts.case.pick("eps", (0.1, 1.0))


FAULT = fault(
    __name__,
    __doc__,
    cause="adam-eps",
    on=("cnn", "gpt", "mlp", "vit"),
    plant=plant,
    is_sudden=False,
)
