"""The original loss and the metric, measured on a trained copy whatever was changed in it.

A change may alter the loss itself, so that its own numbers cannot be held against those of the
observed run. The yardstick is an untouched copy of the program: it takes over the trained weights
where they fit and says the loss of its own `loss_fn`, or the loss that its own `step_fn` returns
while no optimizer moves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch

from steadytrain.core.program import Program
from steadytrain.doctor.sandbox import sandbox
from steadytrain.doctor.scene import models_of, optimizers_of
from steadytrain.doctor.tape import copied_batch
from steadytrain.doctor.twin import twin_of

NUM_HELD: Final = 8
"""Stream the loss is measured on."""


class Yardstick:
    """Measures trained copies of one program.

    Args:
        program: the original; never run.
        batches: microbatches of the run, of which a few are held.
    """

    def __init__(self, program: Program, batches: Sequence[Any]) -> None:
        self._program = program
        apart = max(1, len(batches) // NUM_HELD)
        self._held = list(batches[::apart][:NUM_HELD])

    def measure(self, trained: Program, seed: int) -> tuple[tuple[float, ...], float]:
        """The original loss on each held microbatch, and the metric; NaN where it cannot be had."""
        try:
            judge = self._with_weights_of(trained)
            with sandbox(judge, seed):
                metric = _number(lambda: _metric(judge))
                return tuple(_number(lambda b=b: _loss(judge, b)) for b in self._held), metric
        except Exception:  # a changed architecture may not fit the original at all
            return (math.nan,) * len(self._held), math.nan

    def _with_weights_of(self, trained: Program) -> Program:
        judge = twin_of(self._program)
        pairs = list(zip(models_of(judge), models_of(trained), strict=True))
        if all(_fits(own, other) for own, other in pairs):
            for own, other in pairs:
                own.load_state_dict(other.state_dict())
                for mine, theirs in zip(own.modules(), other.modules(), strict=False):
                    mine.training = theirs.training
        else:
            judge.model = trained.model
            judge.extra = trained.extra
        _freeze(judge)
        return judge


def _fits(own: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether both compute the same from the same weights, as far as their parts tell."""
    mine, theirs = own.state_dict(), other.state_dict()
    if mine.keys() != theirs.keys() or repr(own) != repr(other):
        return False
    return all(getattr(v, "shape", 0) == getattr(theirs[k], "shape", 0) for k, v in mine.items())


def _freeze(program: Program) -> None:
    """No optimizer and no schedule of the program moves any more."""
    for optimizer in optimizers_of(program):
        optimizer.step = _only_closure
    for value in (program.scheduler, *program.extra.values()):
        if isinstance(value, torch.optim.lr_scheduler.LRScheduler):
            value.step = _nothing


def _only_closure(closure: Callable[[], Any] | None = None) -> Any:
    return closure() if closure is not None else None


def _nothing(epoch: Any = None) -> None:
    del epoch


def _loss(program: Program, batch: Any) -> Any:
    if program.step_fn is None or program.loss_fn is not None:
        assert program.loss_fn is not None
        return program.loss_fn(program.model, copied_batch(batch))
    return program.step_fn(program, copied_batch(batch))


def _metric(program: Program) -> Any:
    if program.metric_fn is None:
        return math.nan
    return program.metric_fn(program.model, program.validation)


def _number(measure: Callable[[], Any]) -> float:
    """What `measure` gives as a float; NaN where it raises or gives no number."""
    try:
        return float(measure())
    except Exception:  # the user's own function on a copy that was changed: no number, no matter
        return math.nan
