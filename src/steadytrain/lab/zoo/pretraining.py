"""Models that were trained before: what fine-tuning and distillation begin with."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice

import torch
from torch import nn

from steadytrain.lab.zoo.case import Case, Parts


@contextmanager
def seeded(case: Case, purpose: str) -> Iterator[None]:
    """What is drawn inside follows from the case, and nothing outside is shifted by it."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(case.generator(purpose).initial_seed())
        yield


def pretrain(parts: Parts, steps: int = 80) -> None:
    """The model has taken `steps` steps on its own task."""
    assert parts.loss_fn is not None
    optimizer = torch.optim.Adam(parts.model.parameters(), lr=parts.rate)
    with seeded(parts.case, "pretraining"):
        for batch in islice(cycle(parts.batches), steps):
            optimizer.zero_grad()
            parts.loss_fn(parts.model, batch).backward()
            optimizer.step()
    optimizer.zero_grad()


def frozen_copy(model: nn.Module) -> nn.Module:
    """A copy of the model in evaluation mode that needs no gradient."""
    return copy.deepcopy(model).eval().requires_grad_(False)
