"""The weights themselves are kept in bfloat16, and the steps are too short for it.

## What is wrong
bfloat16 has 8 bits: a step below 0.2 to 0.4% of a weight is rounded away, so most weights never
move. The tensors are real bfloat16 ones.

## Remedy
Keep the weights in float32 and compute under autocast, or round stochastically.

## Source
`model.bfloat16()` with the rate of fine-tuning; Zamirai et al. 2020 (Revisiting BFloat16 Training).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault


class InBFloat16(nn.Module):
    """A network of bfloat16 weights between float32 inputs and outputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.bfloat16()

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x.bfloat16() if x.is_floating_point() else x).float()


class InFloat32(nn.Module):
    """The same frame around float32 weights."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


def prepare(parts: Parts) -> None:
    """A fine rate at which float32 still learns."""
    parts.rate /= parts.case.pick("fineness", (6.0, 10.0))
    parts.model = InFloat32(parts.model)


def plant(parts: Parts) -> None:
    """The weights in bfloat16."""
    frame: Any = parts.model
    parts.model = InBFloat16(frame.network)


def sites(parts: Parts) -> tuple[str, ...]:
    """Every matrix suffers."""
    return tuple(name for name, value in parts.model.named_parameters() if value.dim() > 1)


FAULT = fault(
    __name__,
    __doc__,
    cause="low-precision-update-lost",
    on=("mlp", "tabular"),
    prepare=prepare,
    plant=plant,
    sites=sites,
    steps=300,
)
