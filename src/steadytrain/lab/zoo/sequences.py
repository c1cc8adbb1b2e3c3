"""Sequence models: an LSTM and a small GPT that predict the next character."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Case, Parts
from steadytrain.lab.zoo.layers import initialise_like_gpt2, positions, transformer_blocks

CONTEXT: Final = 32
_NUM_CHARACTERS: Final = 400_000


class CharLSTM(nn.Module):
    """Embedding, LSTM, head. Shape: [n, time] -> [n, time, vocabulary]."""

    def __init__(self, vocabulary: int, width: int, depth: int) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.cell = nn.LSTM(width, width, num_layers=depth, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.cell(self.token(tokens))[0])


class CharGPT(nn.Module):
    """A pre-norm decoder. Shape: [n, time] -> [n, time, vocabulary]."""

    def __init__(self, vocabulary: int, width: int, depth: int, heads: int = 2) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.place = nn.Embedding(CONTEXT, width)
        self.blocks = transformer_blocks(width, depth, heads, causal=True)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)
        initialise_like_gpt2(self)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.token(tokens) + self.place(positions(tokens))
        return self.head(self.norm(self.blocks(x)))


@cache
def text(folder: Path | None) -> tuple[Tensor, int]:
    """Characters as numbers, and how many there are: Tiny Shakespeare, or sums written out."""
    if folder is None:
        generator = torch.Generator().manual_seed(0)
        pairs = torch.randint(100, (20_000, 2), generator=generator).tolist()
        words = "".join(f"{a}+{b}={a + b};" for a, b in pairs)
    else:
        words = (folder / "tinyshakespeare" / "input.txt").read_text()[:_NUM_CHARACTERS]
    letters = {letter: place for place, letter in enumerate(sorted(set(words)))}
    return torch.tensor([letters[letter] for letter in words]), len(letters)


def windows(
    case: Case, *, batch_size: int = 16, num_batches: int = 40
) -> tuple[list[Tensor], Tensor]:
    """Training batches of `CONTEXT` + 1 characters each, and a validation batch."""
    characters, _ = text(case.data)
    cut = int(0.9 * len(characters))
    generator = case.generator("batches")
    shape = (num_batches, batch_size, 1)
    starts = torch.randint(cut - CONTEXT - 1, shape, generator=generator)
    held_out = torch.arange(cut, len(characters) - CONTEXT - 1, 97)[:64, None]
    reach = torch.arange(CONTEXT + 1)
    return list(characters[starts + reach]), characters[held_out + reach]


def next_character(model: nn.Module, batch: Tensor) -> Tensor:
    """The mean cross entropy of every next character."""
    logits = model(batch[:, :-1])
    return functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())


def negative_loss(model: nn.Module, batch: Tensor) -> float:
    """The validation loss, negated, in evaluation mode, mode restored."""
    was_training = model.training
    model.eval()
    with torch.no_grad():
        loss = next_character(model, batch)
    model.train(was_training)
    return -float(loss)


def _build(case: Case) -> Parts:
    _, vocabulary = text(case.data)
    width, depth = case.pick("width", (32, 48)), case.pick("depth", (1, 2, 3))
    kind = CharLSTM if case.architecture == "lstm" else CharGPT
    batches, held_out = windows(case)
    return Parts(
        case=case,
        model=kind(vocabulary, width, depth),
        batches=batches,
        loss_fn=next_character,
        validation=held_out,
        metric_fn=negative_loss,
        rate=case.pick("rate", (2e-3, 3e-3)),
    )


BUILDERS: Final = {"lstm": _build, "gpt": _build}
