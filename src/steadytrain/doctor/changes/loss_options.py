"""A loss passes over nothing that is a class, and over samples whose target nothing can meet."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._losses import Arguments, call, loss_handlers
from steadytrain.doctor.changes._observing import calls_made
from steadytrain.doctor.changes._wrapping import intercept
from steadytrain.doctor.scene import Scene

NO_CLASS = -100
"""Torch's default for `ignore_index`."""


def every_class(program: Program, scene: Scene) -> Program | None:
    """Where `ignore_index` is the number of a class, it becomes torch's default."""
    ignored = [one.arguments.get("ignore_index", NO_CLASS) for one in scene.loss_calls]
    return intercept(program, _counting) if any(number >= 0 for number in ignored) else None


def feasible(program: Program, scene: Scene) -> Program | None:
    """An infinite CTC loss, of a target that is too long, counts nothing."""
    return intercept(program, _zeroing) if calls_made(program, scene, ("ctc_loss",)) else None


def _counting() -> Any:
    return loss_handlers(_counted, ("cross_entropy", "nll_loss"))


def _counted(name: str, arguments: Arguments) -> Tensor:
    return call(name, {**arguments, "ignore_index": NO_CLASS})


def _zeroing() -> Any:
    return {"ctc_loss": _zeroed}


def _zeroed(_function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    names = ("log_probs", "targets", "input_lengths", "target_lengths", "blank", "reduction")
    arguments = {**dict(zip(names, args, strict=False)), **kwargs, "zero_infinity": True}
    return functional.ctc_loss(**arguments)


CHANGES = (
    change(
        "count-every-class",
        __doc__,
        text="no class ignored by the loss",
        size=1,
        apply=every_class,
    ),
    change(
        "feasible-targets",
        __doc__,
        text="targets that no output can meet left out",
        size=2,
        apply=feasible,
    ),
)
