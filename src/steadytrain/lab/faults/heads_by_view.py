"""The attention heads are split by `view` where a `permute` is meant.

## What is wrong
The numbers of one head are those of some tokens with all their channels: queries meet keys of
other positions, across the mask, and what they mix is put back under other tokens.

## Remedy
`view(n, time, heads, -1).transpose(1, 2)`, and the same way back.

## Source
Karpathy 2019, "A Recipe for Training Neural Networks": view instead of transpose.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.layers import SelfAttention
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import drawn_from, paths_of, swap


class ViewedAttention(SelfAttention):
    """Pre-normalised attention whose heads are cut across the tokens."""

    def forward(self, x: Tensor) -> Tensor:
        shape = (len(x), self.heads, x.shape[1], -1)
        query, key, value = (part.reshape(shape) for part in self.qkv(self.norm(x)).chunk(3, -1))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.out(mixed.transpose(1, 2).reshape(x.shape).flatten(2))


def _viewed(module: nn.Module) -> nn.Module:
    own = cast("SelfAttention", module)
    viewed = ViewedAttention(own.qkv.in_features, own.heads, causal=own.causal)
    viewed.load_state_dict(own.state_dict())
    return viewed


def plant(parts: Parts) -> None:
    """Every attention layer, with its weights."""
    with drawn_from(parts.case, "viewed"):
        swap(parts.model, SelfAttention, _viewed)


def sites(parts: Parts) -> tuple[str, ...]:
    """The attention layers."""
    return paths_of(parts.model, SelfAttention)


FAULT = fault(
    __name__,
    __doc__,
    cause="wrong-axis",
    on=("gpt",),
    plant=plant,
    sites=sites,
    seen=("preflight",),
)
