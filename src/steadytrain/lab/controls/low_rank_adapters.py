"""Low-rank adapters on a frozen network: half of the new weights begin at zero.

## What it looks like
The other half has a gradient of exactly zero on the first step, and most weights have none.

## Why it is healthy
The zero half moves first and opens the way; the base is frozen on purpose.

## Source
Hu et al. 2022 (LoRA), section 4.1.
"""

from __future__ import annotations

from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import pretrain, seeded

RANK = 4


class Adapted(nn.Module):
    """A frozen linear layer plus a product of two thin matrices. Shape: as the layer's."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Linear(base.in_features, RANK, bias=False)
        self.up = nn.Linear(RANK, base.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + self.up(self.down(x))


def _adapt(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear):
            setattr(module, name, Adapted(child))
        else:
            _adapt(child)


def make(parts: Parts) -> None:
    """After some training every linear layer is frozen and gets an adapter."""
    pretrain(parts, steps=60)
    parts.model.requires_grad_(False)
    with seeded(parts.case, "adapters"):
        _adapt(parts.model)
    parts.rate *= 2
    parts.make_optimizer = lambda own: own.optimizer(
        [p for p in own.model.parameters() if p.requires_grad]
    )


CONTROL = control(__name__, __doc__, on=("mlp", "gpt", "vit"), make=make)
