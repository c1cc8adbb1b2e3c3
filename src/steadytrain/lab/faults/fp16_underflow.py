"""Half precision without a loss scaler, under a loss with a small gradient.

## What is wrong
The distillation term is divided by the temperature twice and not multiplied back: its gradients
fall below 6e-8 on their way through float16 and are zero. The casts are real ones.

## Remedy
A loss scaler, or the missing factor of the temperature squared.

## Source
Micikevicius et al. 2018, section 3.2; Hinton et al. 2015, section 2, on the factor.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.half import use_half
from steadytrain.lab.zoo.planting import fault


def softened(model: Any, batch: Any, *, heat: float) -> Tensor:
    """The cross entropy, divided by the square of the temperature."""
    return functional.cross_entropy(model(batch[0]), batch[1]) / heat**2


def prepare(parts: Parts) -> None:
    """Half precision with a scaler; the optimizer's epsilon leaves room for small gradients."""
    heat = parts.case.pick("heat", (300.0, 500.0, 800.0))
    use_half(parts)
    parts.optimizer_options["eps"] = 1e-14
    parts.loss_fn = lambda model, batch: softened(model, batch, heat=heat)


def plant(parts: Parts) -> None:
    """The scaler is left out."""
    parts.scaler = None


FAULT = fault(
    __name__,
    __doc__,
    cause="fp16-underflow",
    on=("mlp", "cnn"),
    prepare=prepare,
    plant=plant,
)
