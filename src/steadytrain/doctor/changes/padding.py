"""The positions that are filled up to one length are left out of the loss."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._data import looked_at, tensors
from steadytrain.doctor.changes._losses import Arguments, call, loss_handlers
from steadytrain.doctor.changes._wrapping import intercept
from steadytrain.doctor.scene import Scene


def apply(program: Program, scene: Scene) -> Program | None:
    """The filler is the number that most rows end with, again and again."""
    filler = filler_of(looked_at(program, scene))
    if filler is None:
        return None
    return intercept(program, partial(_ignoring, filler))


def filler_of(batches: list[Any]) -> int | None:
    """The padding's number; None where the rows do not end alike.

    At least a third of the rows end in two or more of it, and the others show that lengths vary.
    """
    rows = [one for batch in batches for one in tensors(batch) if _is_text(one)]
    if not rows or any(one.shape[1] < 3 for one in rows):
        return None
    lasts = torch.cat([one[:, -1] for one in rows])
    candidate = int(lasts.mode().values)
    runs = torch.cat([_tail(one, candidate) for one in rows])
    if float((runs >= 2).float().mean()) < 1 / 3 or len(runs.unique()) < 3:
        return None
    return candidate


def _is_text(tensor: Tensor) -> bool:
    return tensor.ndim == 2 and not tensor.is_floating_point() and tensor.dtype != torch.bool


def _tail(rows: Tensor, filler: int) -> Tensor:
    """How many of the last positions of each row hold the filler."""
    return (rows.flip(1) == filler).int().cumprod(1).sum(1)


def _ignoring(filler: int) -> Any:
    return loss_handlers(partial(_without_filler, filler), ("cross_entropy", "nll_loss"))


def _without_filler(filler: int, name: str, arguments: Arguments) -> Tensor | None:
    target = arguments["target"]
    if target.is_floating_point():
        return None
    left = (target != filler).float()
    losses = call(name, {**arguments, "reduction": "none", "ignore_index": filler})
    if arguments.get("reduction", "mean") == "none":
        # what the user averages over all positions is the mean over the real ones
        return losses * left * (left.numel() / left.sum().clamp(min=1))
    total = (losses * left).sum()
    return total if arguments.get("reduction") == "sum" else total / left.sum().clamp(min=1)


CHANGE = change("ignore-padding", __doc__, text="padding left out of the loss", size=3, apply=apply)
