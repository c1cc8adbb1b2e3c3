"""Some transcripts are longer than the recordings they belong to.

## What is wrong
A CTC loss needs an input step per letter, and one more between two equal letters. For targets
longer than that no alignment exists, the probability is zero and the loss infinite.

## Remedy
Leave out such pairs, or subsample the input less; `zero_infinity` only hides them.

## Source
The most reported infinite loss of speech recognition.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import fault

_ONSET = 25
_SHORT, _LONG = 6, 32


def _transcribe(model: nn.Module, batch: tuple[Tensor, int]) -> Tensor:
    """The CTC loss of the text's own beginning, which the network may read; letter 0 is the blank."""
    tokens, length = batch
    scores = model(tokens[:, :-1]).log_softmax(-1).transpose(0, 1)
    count, steps = len(tokens), len(scores)
    letters = tokens[:, :length].clamp(min=1)
    return functional.ctc_loss(
        scores,
        letters,
        torch.full((count,), steps, dtype=torch.long),
        torch.full((count,), length, dtype=torch.long),
    )


def prepare(parts: Parts) -> None:
    """Six letters are to be written down."""
    parts.batches = [(tokens, _SHORT) for tokens in parts.batches]
    parts.validation = parts.metric_fn = None
    parts.loss_fn = _transcribe


def plant(parts: Parts) -> None:
    """In one batch all letters are, with doubled ones among them."""
    doubled = parts.batches[_ONSET][0].clone()
    doubled[:, 1] = doubled[:, 0]
    parts.batches[_ONSET] = (doubled, _LONG)


FAULT = fault(
    __name__,
    __doc__,
    cause="infeasible-target",
    on=("lstm", "gpt"),
    plant=plant,
    prepare=prepare,
    onset=_ONSET,
    steps=60,
)
