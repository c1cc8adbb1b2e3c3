"""A router that prefers one expert from the start, and nothing that balances it.

## What is wrong
A bias gives every token to one expert: only that one learns, so that it stays the best, and the
others are weights that nobody uses.

## Remedy
A balance term in the loss, noise in the router, or a bias that follows the load.

## Source
Shazeer et al. 2017, section 4; Fedus et al. 2021, section 2.2 on the balance term.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.experts import NUM_EXPERTS, Experts, imbalance
from steadytrain.lab.zoo.layers import Residual
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.sequences import CharGPT, next_character
from steadytrain.lab.zoo.stacks import drawn_from, paths_of


def _balanced(model: nn.Module, batch: Any) -> Tensor:
    loss = next_character(model, batch)
    return loss + 0.01 * (imbalance(model) - 1.0) if model.training else loss


def prepare(parts: Parts) -> None:
    """Every feed-forward layer is one of experts, with the balance term of Fedus et al."""
    model = parts.model
    assert isinstance(model, CharGPT)
    width = model.place.embedding_dim
    with drawn_from(parts.case, "experts"):
        for block in model.blocks:
            if isinstance(block, Residual) and isinstance(block.inner, nn.Sequential):
                block.inner = Experts(width, width)
    parts.loss_fn = _balanced


def plant(parts: Parts) -> None:
    """A bias on one expert, and the loss without the term."""
    parts.loss_fn = next_character
    favourite = parts.case.pick("favourite", range(NUM_EXPERTS))
    with torch.no_grad():
        for path in paths_of(parts.model, Experts):
            router: Any = parts.model.get_submodule(path)
            router.router.bias[favourite] += parts.case.pick("preference", (5.0, 8.0))


def sites(parts: Parts) -> tuple[str, ...]:
    """The layers of experts."""
    return paths_of(parts.model, Experts)


FAULT = fault(
    __name__,
    __doc__,
    cause="router-collapse",
    on=("gpt",),
    prepare=prepare,
    plant=plant,
    sites=sites,
)
