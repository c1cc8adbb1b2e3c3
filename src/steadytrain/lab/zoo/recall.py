"""Remembering one symbol of a sequence: what a recurrent network needs its memory for."""

from __future__ import annotations

from typing import Final, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Case, Parts
from steadytrain.lab.zoo.stacks import drawn_from

Batch = tuple[Tensor, Tensor]

SYMBOLS: Final = 4


class RecallRNN(nn.Module):
    """Embedding, plain recurrent network, head on the last state. Shape: [n, time] -> [n, 4]."""

    def __init__(self, width: int, nonlinearity: Literal["tanh", "relu"]) -> None:
        super().__init__()
        self.token = nn.Embedding(2 * SYMBOLS, width)
        self.cell = nn.RNN(width, width, nonlinearity=nonlinearity, batch_first=True)
        self.head = nn.Linear(width, SYMBOLS)
        matrix = dict(self.cell.named_parameters())["weight_hh_l0"]
        (nn.init.orthogonal_ if nonlinearity == "tanh" else nn.init.eye_)(matrix)
        nn.init.normal_(self.token.weight, std=0.3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.cell(self.token(tokens))[0][:, -1])


def told_symbol(model: nn.Module, batch: Batch) -> Tensor:
    """The mean cross entropy of the symbol, asked at the end."""
    return functional.cross_entropy(model(batch[0]), batch[1])


def remembered(model: nn.Module, batch: Batch) -> float:
    """The share of symbols that are told rightly."""
    with torch.no_grad():
        return float((model(batch[0]).argmax(-1) == batch[1]).float().mean())


def recall(parts: Parts, nonlinearity: Literal["tanh", "relu"] = "tanh", *, place: int = 0) -> None:
    """The program becomes a recurrent network that learns to remember, at unit spectral radius.

    Args:
        parts: changed in place.
        nonlinearity: of the network; a ReLU network begins at the identity.
        place: where the symbol stands among ten to fourteen distractors.
    """
    case = parts.case
    with drawn_from(case, "recall"):
        parts.model = RecallRNN(case.pick("recall width", (32, 48)), nonlinearity)
    *parts.batches, parts.validation = _sequences(case, place)
    parts.loss_fn, parts.metric_fn = told_symbol, remembered
    parts.rate = case.pick("recall rate", (1e-3, 2e-3))


def _sequences(case: Case, place: int, num_batches: int = 60, batch_size: int = 64) -> list[Batch]:
    """One symbol of four, and as many distractors of four others as the case says."""
    generator = case.generator("recall")
    shape = num_batches + 1, batch_size, case.pick("delay", (10, 12, 14))
    distractors = torch.randint(SYMBOLS, 2 * SYMBOLS, shape, generator=generator)
    told = torch.randint(SYMBOLS, (*shape[:2], 1), generator=generator)
    tokens = torch.cat([distractors[..., :place], told, distractors[..., place:]], dim=-1)
    return [(inputs, symbol.squeeze(1)) for inputs, symbol in zip(tokens, told, strict=True)]
