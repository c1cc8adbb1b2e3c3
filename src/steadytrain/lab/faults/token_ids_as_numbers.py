"""Characters go in as the numbers they have in the vocabulary.

## What is wrong
The embedding was replaced by a linear layer of one input: character 40 is then twice character 20,
and what can be learned is what is nearly linear in the place in the alphabet.

## Remedy
Look the indices up in an embedding.

## Source
Categories fed as magnitudes, among the commonest mistakes with text and with tables.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault
from steadytrain.lab.zoo.stacks import drawn_from


class AsNumbers(nn.Module):
    """Indices become numbers, and these a vector. Shape: [n, time] -> [n, time, width]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(1, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.linear(tokens.float().unsqueeze(-1))


def plant(parts: Parts) -> None:
    """No embedding."""
    model: Any = parts.model
    with drawn_from(parts.case, "numbers"):
        model.token = AsNumbers(model.token.embedding_dim)


def sites(_: Parts) -> tuple[str, ...]:
    """What stands in its place."""
    return ("token",)


FAULT = fault(
    __name__,
    __doc__,
    cause="token-ids-as-numbers",
    also=("data-not-normalized",),
    on=("lstm", "gpt"),
    plant=plant,
    sites=sites,
)
