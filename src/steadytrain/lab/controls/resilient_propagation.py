"""Rprop: only the sign of a gradient counts, and every weight has a step size of its own.

## What it looks like
Updates have nothing to do with the size of the gradients.

## Why it is healthy
On all data at once the signs are right, and the step sizes adapt within some steps.

## Source
Riedmiller and Braun 1993.
"""

from __future__ import annotations

import torch

from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.planting import control

NUM_BATCHES = 16


def make(parts: Parts) -> None:
    """One large batch; steps begin at the usual rate and stay below ten times it."""
    columns = zip(*parts.batches[:NUM_BATCHES], strict=True)
    parts.batches = [tuple(torch.cat(column) for column in columns)]
    parts.make_optimizer = lambda own: torch.optim.Rprop(
        own.model.parameters(), lr=own.rate, step_sizes=(1e-7, 10 * own.rate)
    )


CONTROL = control(__name__, __doc__, on=("mlp", "tabular"), make=make)
