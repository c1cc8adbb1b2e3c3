"""Texts get longer in four stages: the loss leaps whenever they do, and falls again.

## What it looks like
The shape of the batches changes during the run, a step takes longer, places that were never used
begin to learn late.

## Why it is healthy
Short texts first is cheaper and steadier; in the end all lengths are seen.

## Source
Li et al. 2022, The stability-efficiency dilemma: sequence length warmup.
"""

from __future__ import annotations

from torch import Tensor

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control
from steadytrain.lab.zoo.sequences import CONTEXT

LENGTH = 60
"""Steps of a stage."""

STAGES = (CONTEXT // 4, CONTEXT // 2, 3 * CONTEXT // 4, CONTEXT)
"""Characters that are predicted at once."""


def _shortened(batch: Tensor, length: int) -> Tensor:
    """As many windows as fit into the batch: the number of characters stays about the same."""
    return batch[:, : (CONTEXT // length) * length + 1].unfold(1, length + 1, length).flatten(0, 1)


def make(parts: Parts) -> None:
    """Sixty steps of each length."""
    plain = parts.batches
    parts.batches = [
        _shortened(plain[place % len(plain)], STAGES[place // LENGTH])
        for place in range(len(STAGES) * LENGTH)
    ]


CONTROL = control(__name__, __doc__, on=("gpt", "lstm"), make=make, steps=len(STAGES) * LENGTH)
