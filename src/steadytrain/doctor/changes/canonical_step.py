"""The canonical step (clear, backward, clip, update, schedule) replaces the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from steadytrain.core.program import Program
from steadytrain.doctor.change import change
from steadytrain.doctor.changes._calls import intercepted
from steadytrain.doctor.changes._gradients import parameters_of, scalers_of
from steadytrain.doctor.scene import Scene, optimizers_of


def apply(program: Program, _scene: Scene) -> Program | None:
    """The loss is that of `loss_fn`, or the sum of those the user's step goes backward from."""
    if program.step_fn is None or len(list(optimizers_of(program))) > 1:
        return None
    if program.loss_fn is not None:
        program.step_fn = None
        for parameter in program.model.parameters():
            parameter.grad = None
        return program
    program.step_fn = partial(_canonical, program.step_fn)
    return program


def _canonical(own: Callable[[Any, Any], Any], program: Program, batch: Any) -> Tensor:
    """The user's step up to its backward passes; from there on as it should be."""
    losses: list[Tensor] = []

    def keep(_function: Any, args: tuple[Any, ...], _kwargs: dict[str, Any]) -> None:
        losses.append(args[0])

    with _idle(program), intercepted(program, {"backward": keep}):
        result = own(program, batch)
    if not losses:
        return result
    optimizer = program.optimizer
    optimizer.zero_grad()
    torch.stack([loss.reshape(()) for loss in losses]).sum().backward()
    if program.clip is not None:
        clip_grad_norm_(parameters_of(optimizer), program.clip)
    optimizer.step()
    return result


@contextmanager
def _idle(program: Program) -> Iterator[None]:
    """The optimizer does not step, and the loss scaler does not scale."""
    optimizer: Any = program.optimizer
    with ExitStack() as stack:
        own = optimizer.__dict__.get("step")
        optimizer.step = _no_step
        stack.callback(_restored, optimizer, own)
        for scaler in scalers_of(program):
            stack.callback(setattr, scaler, "_enabled", scaler._enabled)
            scaler._enabled = False
        yield


def _no_step(*_args: Any, **_kwargs: Any) -> None:
    return None


def _restored(optimizer: Any, own: Any) -> None:
    if own is None:
        del optimizer.__dict__["step"]
    else:
        optimizer.step = own


CHANGE = change(
    __name__,
    __doc__,
    text="the canonical training step instead of the program's own",
    size=3,
    apply=apply,
)
