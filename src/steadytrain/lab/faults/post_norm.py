"""A deep post-norm transformer at a pre-norm transformer's rate, without warmup.

## What is wrong
The norm stands on the stream itself, so that the shortcut is rescaled at every layer: the
gradients of the first steps are large near the output and the full rate carries the weights to
where attention and feed-forward are saturated.

## Remedy
Norms inside the branches (pre-norm); or a long warmup and a smaller rate.

## Source
Xiong et al. 2020, "On layer normalization in the transformer architecture"; Liu et al. 2020.
"""

from __future__ import annotations

from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.classifiers import ViT
from steadytrain.lab.zoo.layers import Residual, SelfAttention, transformer_blocks
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.sequences import CharGPT
from steadytrain.lab.zoo.stacks import drawn_from, linears, paths_of, swap


class PostNorm(nn.Module):
    """norm(x + inner(x)), with no norm inside."""

    def __init__(self, inner: nn.Module, width: int) -> None:
        super().__init__()
        self.inner, self.norm = inner, nn.LayerNorm(width)
        if isinstance(inner, SelfAttention):
            inner.norm = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
        elif isinstance(inner, nn.Sequential):
            inner[0] = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.inner(x))


def prepare(parts: Parts) -> None:
    """Eight to twelve pre-norm blocks, Xavier-initialised, at a full rate."""
    model = parts.model
    assert isinstance(model, ViT | CharGPT)
    width, depth = model.place.embedding_dim, parts.case.pick("blocks", (8, 10, 12))
    with drawn_from(parts.case, "deep"):
        model.blocks = transformer_blocks(width, depth, 2, causal=isinstance(model, CharGPT))
        for _, layer in linears(model.blocks):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    parts.rate = parts.case.pick("full rate", (3e-3, 5e-3))


def plant(parts: Parts) -> None:
    """The norms move from the branches to the stream."""
    model = parts.model
    assert isinstance(model, ViT | CharGPT)
    width = model.place.embedding_dim

    def post(module: nn.Module) -> nn.Module:
        assert isinstance(module, Residual)
        return PostNorm(module.inner, width)

    swap(model, Residual, post)


def sites(parts: Parts) -> tuple[str, ...]:
    """The blocks."""
    return paths_of(parts.model, Residual)


FAULT = fault(
    __name__,
    __doc__,
    cause="post-norm-depth",
    also=("missing-warmup",),
    on=("gpt", "vit"),
    prepare=prepare,
    plant=plant,
    sites=sites,
)
