"""Programs of a few parameters, as people write them, for the doctor's tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from steadytrain.core.program import Program

Batch = tuple[Tensor, Tensor]


def batches(seed: int = 0, count: int = 16) -> list[Batch]:
    """Rows whose class is the sign of their sum."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count * 16, 6, generator=generator)
    labels = (inputs.sum(1) > 0).long()
    return list(zip(inputs.split(16), labels.split(16), strict=True))


def network(seed: int = 0) -> nn.Sequential:
    """A classifier of two layers."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))


def cross_entropy(model: Any, batch: Batch) -> Tensor:
    """The usual loss."""
    return F.cross_entropy(model(batch[0]), batch[1])


def program(rate: float = 0.1, **options: Any) -> Program:
    """A healthy program, unless an option spoils it."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    options.setdefault("loss_fn", cross_entropy)
    options.setdefault("batches", batches())
    return Program(model=model, optimizer=optimizer, clip=None, **options)


def stepping(step: Callable[[Program, Batch], Any]) -> Program:
    """A program with a step of one's own."""
    return program(step_fn=step)


def never_cleared(program: Program, batch: Batch) -> Tensor:
    """A whole step without zero_grad."""
    loss = cross_entropy(program.model, batch)
    loss.backward()
    program.optimizer.step()
    return loss.detach()


def closed_over() -> Program:
    """A step that finds its model, optimizer and counter in the function around it."""
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    seen = {"steps": 0}

    def step(_: Program, batch: Batch) -> Tensor:
        seen["steps"] += 1
        optimizer.zero_grad()
        loss = cross_entropy(model, batch)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return Program(
        model=model, optimizer=optimizer, batches=batches(), step_fn=step, extra={"seen": seen}
    )
