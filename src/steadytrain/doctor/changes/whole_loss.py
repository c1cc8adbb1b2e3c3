"""The loss as a whole changes its sign or is divided by the number of what was summed."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._data import looked_at, size_of
from steadytrain.doctor.changes._losses import Arguments, call, loss_handlers, put_loss
from steadytrain.doctor.changes._wrapping import intercept
from steadytrain.doctor.scene import Scene


def flipped(program: Program, _scene: Scene) -> Program | None:
    """What was maximised is minimised."""
    return put_loss(program, _negative)


def mean(program: Program, scene: Scene) -> Program | None:
    """Where a loss of torch is summed it is averaged; else the loss is divided by the batch."""
    if any(one.arguments.get("reduction") == "sum" for one in scene.loss_calls):
        return intercept(program, _averaged)
    return put_loss(program, _per_sample) if size_of(looked_at(program, scene)[0]) > 1 else None


def _negative(loss: Tensor, _batch: Any) -> Tensor:
    return -loss


def _per_sample(loss: Tensor, batch: Any) -> Tensor:
    return loss / max(1, size_of(batch))


def _averaged() -> Any:
    return loss_handlers(_mean_of)


def _mean_of(name: str, arguments: Arguments) -> Tensor | None:
    if arguments.get("reduction") != "sum":
        return None
    return call(name, {**arguments, "reduction": "batchmean" if name == "kl_div" else "mean"})


CHANGES = (
    change("flip-loss", __doc__, text="the loss with its other sign", size=2, apply=flipped),
    change("mean-loss", __doc__, text="the mean instead of the sum", size=2, apply=mean),
)
