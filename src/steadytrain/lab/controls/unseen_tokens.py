"""An embedding of thousands of rows of which a text uses some dozens.

## What it looks like
Nearly all of the embedding's gradient is exactly zero, and most of its rows never move.

## Why it is healthy
Rows without an occurrence have nothing to learn from; the others do.

## Source
Any language model with a tokenizer larger than its corpus.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.pretraining import seeded

VOCABULARY = 4000


def make(parts: Parts) -> None:
    """The embedding has rows for four thousand tokens."""
    model: Any = parts.model
    with seeded(parts.case, "vocabulary"):
        model.token = nn.Embedding(VOCABULARY, model.token.embedding_dim)
        nn.init.normal_(model.token.weight, std=0.1)


CONTROL = control(__name__, __doc__, on=("lstm", "gpt"), make=make)
