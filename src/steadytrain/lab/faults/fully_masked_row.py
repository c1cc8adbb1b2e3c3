"""Attention whose mask leaves a query nothing to attend to.

## What is wrong
A text that is filled up at its beginning, or a blank picture of which every patch is masked, leaves
rows of scores that are minus infinity throughout: their softmax is NaN.

## Remedy
Let every query see itself, or mask with a large finite number and drop those rows.

## Source
Left padding under a causal mask; the question of why attention returns NaN for padded rows.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.layers import SelfAttention
from steadytrain.lab.zoo.padding import add_token, character_losses
from steadytrain.lab.zoo.planting import fault

EMPTY_AT: Final = 25
"""The batch with a short text, or with a blank picture."""


class MaskedAttention(nn.Module):
    """`SelfAttention` by hand that does not look at hidden places. Shape: as there."""

    def __init__(self, plain: SelfAttention) -> None:
        super().__init__()
        self.heads, self.causal, self.sees_itself = plain.heads, plain.causal, True
        self.norm, self.qkv, self.out = plain.norm, plain.qkv, plain.out
        self.hidden: Tensor | None = None
        """Places that nobody may look at. Shape: [n, time]."""

    def forward(self, x: Tensor) -> Tensor:
        shape = (*x.shape[:2], 3, self.heads, -1)
        query, key, value = self.qkv(self.norm(x)).view(shape).permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        chances = scores.masked_fill(self._mask(x), float("-inf")).softmax(-1)
        return self.out((chances @ value).transpose(1, 2).flatten(2))

    def _mask(self, x: Tensor) -> Tensor:
        time = x.shape[1]
        later = torch.ones(time, time, dtype=torch.bool).triu(1) & self.causal
        mask = later if self.hidden is None else later | self.hidden[:, None, None, :]
        return mask & ~torch.eye(time, dtype=torch.bool) if self.sees_itself else mask


def hide(model: Any, args: tuple[Tensor, ...]) -> None:
    """Every attention of the network knows which places are filler or blank."""
    inputs = args[0]
    if inputs.dim() == 2:
        hidden = inputs == model.token.num_embeddings - 1
    else:
        patch = model.embed.kernel_size[0]
        brightest = functional.max_pool2d(inputs, patch).flatten(1)
        hidden = brightest <= inputs.amin() + 1e-6
    for attention in model.modules():
        if isinstance(attention, MaskedAttention):
            attention.hidden = hidden


def real_characters(model: Any, batch: Tensor) -> Tensor:
    """The mean over characters that are no filler."""
    is_real = batch[:, 1:] != model.token.num_embeddings - 1
    return character_losses(model, batch)[is_real].mean()


def prepare(parts: Parts) -> None:
    """Masked attention in which everybody sees itself; one batch needs that."""
    model: Any = parts.model
    for block in model.blocks:
        if isinstance(block.inner, SelfAttention):
            block.inner = MaskedAttention(block.inner)
    row = parts.case.pick("row", range(16))
    if parts.case.architecture == "gpt":
        parts.batches[EMPTY_AT] = parts.batches[EMPTY_AT].clone()
        parts.batches[EMPTY_AT][row, :8] = add_token(parts)
        parts.loss_fn = real_characters
    else:
        pictures, labels = parts.batches[EMPTY_AT]
        pictures = pictures.clone()
        pictures[row] = pictures.amin()
        parts.batches[EMPTY_AT] = (pictures, labels)
    model.register_forward_pre_hook(hide)


def plant(parts: Parts) -> None:
    """Nobody is sure to see itself."""
    for module in parts.model.modules():
        if isinstance(module, MaskedAttention):
            module.sees_itself = False


def sites(_parts: Parts) -> tuple[str, ...]:
    """The first attention."""
    return ("blocks.0.inner",)


FAULT = fault(
    __name__,
    __doc__,
    cause="fully-masked-row",
    on=("gpt", "vit"),
    prepare=prepare,
    plant=plant,
    sites=sites,
    onset=EMPTY_AT,
)
