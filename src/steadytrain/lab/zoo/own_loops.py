"""Training loops as people write them, for faults that sit in the loop itself."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from steadytrain.core.program import Program


def loss_of(program: Program, batch: Any) -> Tensor:
    """The loss of a batch, with its graph."""
    assert program.loss_fn is not None
    return program.loss_fn(program.model, batch)


def right_step(program: Program, batch: Any) -> Tensor:
    """Clear, backward, clip, step, schedule: each once and in this order."""
    program.optimizer.zero_grad()
    loss = loss_of(program, batch)
    loss.backward()
    clip_and_step(program)
    return loss.detach()


def clip_and_step(program: Program) -> None:
    """The second half of a right step."""
    if program.clip is not None:
        clip_grad_norm_(program.model.parameters(), program.clip)
    program.optimizer.step()
    if program.scheduler is not None:
        program.scheduler.step()


def pieces(batch: Any, count: int) -> list[Any]:
    """The batch cut into microbatches along its first dimension."""
    if isinstance(batch, Tensor):
        return list(batch.chunk(count))
    return list(zip(*(part.chunk(count) for part in batch), strict=True))
