"""A deep residual network without its shortcuts.

## What is wrong
Every block replaces its input instead of adding to it: what the early layers say, and what they
are told, passes through all the others.

## Remedy
Put the shortcuts back.

## Source
He et al. 2016: a plain network of 56 layers trains worse than one of 20.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.classifiers import BasicBlock, ViT, resnet
from steadytrain.lab.zoo.layers import Residual, initialise_like_gpt2, transformer_blocks
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.sequences import CharGPT
from steadytrain.lab.zoo.stacks import drawn_from, paths_of, swap


class Plain(nn.Module):
    """inner(x), under the path that the residual had."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


class PlainBlock(BasicBlock):
    """Two convolutions with batch norm, one after the other."""

    def forward(self, x: Tensor) -> Tensor:
        inner = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(inner)))


def _plain(module: nn.Module) -> nn.Module:
    if isinstance(module, Residual):
        return Plain(module.inner)
    block = PlainBlock(cast("BasicBlock", module).conv1.in_channels)
    block.load_state_dict(module.state_dict())
    return block


def prepare(parts: Parts) -> None:
    """The healthy network, deep enough to need its shortcuts."""
    model = parts.model
    with drawn_from(parts.case, "deep"):
        if isinstance(model, ViT | CharGPT):
            width, depth = model.place.embedding_dim, parts.case.pick("blocks", (4, 5, 6))
            causal = isinstance(model, CharGPT)
            model.blocks = transformer_blocks(width, depth, 2, causal=causal)
            initialise_like_gpt2(model)
        else:
            parts.model = resnet(8, parts.case.pick("blocks", (16, 18, 20)))


def plant(parts: Parts) -> None:
    """Every shortcut is taken out; the weights stay."""
    for kind in (Residual, BasicBlock):
        swap(parts.model, kind, _plain)


def sites(parts: Parts) -> tuple[str, ...]:
    """The blocks."""
    return paths_of(parts.model, Residual, BasicBlock)


FAULT = fault(
    __name__,
    __doc__,
    cause="missing-residual",
    also=("vanishing-gradient",),
    on=("resnet", "gpt", "vit"),
    prepare=prepare,
    plant=plant,
    sites=sites,
)
