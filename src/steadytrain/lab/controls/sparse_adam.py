"""A sparse embedding under SparseAdam, everything else under Adam.

## What it looks like
The embedding's gradient is a sparse tensor, and two optimizers step in every step.

## Why it is healthy
Only the rows that occurred are moved.

## Source
The documentation of torch.optim.SparseAdam.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from steadytrain.core.program import Program
from steadytrain.lab.zoo.case import Parts
from steadytrain.lab.zoo.own_loops import right_step
from steadytrain.lab.zoo.planting import control


def _step(program: Program, batch: Any) -> Tensor:
    rows = program.extra["rows"]
    rows.zero_grad()
    loss = right_step(program, batch)
    rows.step()
    return loss


def make(parts: Parts) -> None:
    """The token embedding becomes sparse."""
    model: Any = parts.model
    model.token = nn.Embedding.from_pretrained(
        model.token.weight.detach(), freeze=False, sparse=True
    )
    parts.extra["rows"] = torch.optim.SparseAdam(model.token.parameters(), lr=parts.rate)
    others = [p for name, p in model.named_parameters() if not name.startswith("token.")]
    parts.make_optimizer = lambda own: own.optimizer(others)
    parts.step_fn, parts.clip = _step, None


CONTROL = control(__name__, __doc__, on=("lstm", "gpt"), make=make)
