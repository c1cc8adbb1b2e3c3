"""Texts of unequal length in one batch, filled up with a token of its own."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.sequences import CONTEXT

SHORTEST: Final = 4


def add_token(parts: Parts) -> int:
    """The new token's number; the embedding and the head know it, its weights are zero."""
    model: Any = parts.model
    number, width = model.token.weight.shape
    token, head = nn.Embedding(number + 1, width), nn.Linear(width, number + 1)
    with torch.no_grad():
        for new, old in ((token.weight, model.token.weight), (head.weight, model.head.weight)):
            new.zero_()[:number] = old
        head.bias.zero_()[:number] = model.head.bias
    model.token, model.head = token, head
    return number


def shorten(parts: Parts, filler: int) -> list[Tensor]:
    """The batches with texts of many lengths, most of them short, filled up at the end."""
    generator = parts.case.generator("lengths")
    place = torch.arange(CONTEXT + 1)
    shortened: list[Tensor] = []
    for batch in parts.batches:
        share = torch.rand(len(batch), 1, generator=generator) ** 3
        length = SHORTEST + (share * (CONTEXT + 1 - SHORTEST)).ceil()
        shortened.append(torch.where(place < length, batch, filler))
    return shortened


def character_losses(model: nn.Module, batch: Tensor) -> Tensor:
    """The cross entropy of every next character. Shape: [n, time + 1] -> [n, time]."""
    logits = model(batch[:, :-1])
    return functional.cross_entropy(logits.transpose(1, 2), batch[:, 1:], reduction="none")
