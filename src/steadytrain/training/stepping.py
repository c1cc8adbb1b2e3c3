"""One optimizer step: the canonical one, or the user's own.

microbatches -> forward -> backward    (autocast; mean over the window; scaled)
unscale -> clip                        (in this order; once per window)
step -> zero_grad -> schedule          (the schedule only where the optimizer moved)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from steadytrain.core.errors import ProgramError
from steadytrain.core.program import Program
from steadytrain.optim.accumulation import Window
from steadytrain.optim.precision import LossScale, autocast, scaler_for
from steadytrain.snapshots.stream import Stream
from steadytrain.training.record import Record


class CanonicalStep:
    """The right order of a step, with every technique of the program switched as it says.

    Gradients left over from before the first step are cleared. Only the parameters the
    optimizer holds are clipped: others are neither unscaled nor updated, and must not shrink
    the step. `program.scaler` holds the scaler afterwards.
    """

    def __init__(self, program: Program, record: Record, device: torch.device) -> None:
        self._program = program
        self._record = record
        self._device = device
        self._scale = LossScale(program.scaler)
        groups = program.optimizer.param_groups
        held = {id(p): p for group in groups for p in group["params"]}
        self._held = list(held.values())
        self._others = [p for p in program.model.parameters() if id(p) not in held]
        self._zero_grad()

    def __call__(self, microbatches: Stream) -> torch.Tensor:
        """The program is one optimizer step further; returns the mean loss, on its device."""
        loss = self.backward(microbatches)
        self.commit()
        return loss

    def backward(self, microbatches: Iterator[Any]) -> torch.Tensor:
        """The gradients of a window are there, scaled; returns the mean loss, on its device."""
        program = self._program
        window = Window(program.accumulate)
        for _ in range(program.accumulate):
            batch = next(microbatches)
            with autocast(program.precision, self._device):
                loss = program.loss_fn(program.model, batch) if program.loss_fn else None
            scalar_loss = differentiable_scalar(loss)
            self._record.look_at_loss(scalar_loss)
            window.add(scalar_loss, self._scale.scale)
        return window.loss

    def commit(self) -> bool:
        """The step is taken with the gradients there are; returns whether the weights moved."""
        program = self._program
        self._scale.unscale(program.optimizer)
        if program.clip is not None:
            self._record.clip_grad_norm_(program.clip, parameters=self._held)
        moved = self._scale.step(program.optimizer)
        self._zero_grad()
        if moved and program.scheduler is not None:
            program.scheduler.step()
        return moved

    def _zero_grad(self) -> None:
        self._program.optimizer.zero_grad(set_to_none=True)
        for parameter in self._others:
            parameter.grad = None


class OwnStep:
    """The user's `step_fn` as it is: precision, accumulation, clip and schedule are its own."""

    def __init__(self, program: Program, record: Record) -> None:
        self._program = program
        self._record = record

    def __call__(self, microbatches: Iterator[Any]) -> torch.Tensor:
        """One call of `step_fn`; returns the loss it gave back."""
        program = self._program
        batch = next(microbatches)
        loss = program.step_fn(program, batch) if program.step_fn else None
        if isinstance(loss, torch.Tensor):
            self._record.look_at_loss(loss)
        return scalar(loss)


def make_step(program: Program, record: Record, device: torch.device) -> CanonicalStep | OwnStep:
    """The step that `program` asks for."""
    return OwnStep(program, record) if program.step_fn else CanonicalStep(program, record, device)


def provide_scaler(program: Program, device: torch.device) -> None:
    """A canonical fp16 program has a loss scaler, its own or a new one."""
    if program.scaler is None and program.step_fn is None:
        program.scaler = scaler_for(program.precision, device)


def differentiable_scalar(loss: Any) -> torch.Tensor:
    """`loss`, if it is one number that a gradient can be taken of.

    Raises:
        ProgramError: it is not.
    """
    remedy = "return the loss tensor itself, reduced with .mean() or .sum()"
    if not isinstance(loss, torch.Tensor):
        raise ProgramError(
            f"Program.loss_fn returned {_shown(loss)}, expected a scalar Tensor: {remedy}, "
            "without .item(), float() or .detach()."
        )
    if loss.numel() != 1 or loss.is_complex():
        raise ProgramError(
            f"Program.loss_fn returned {_shown(loss)}, expected one real number: {remedy}."
        )
    if not loss.requires_grad:
        raise ProgramError(
            f"Program.loss_fn returned {_shown(loss)} that needs no gradient, expected one that "
            "was computed from the model's trainable parameters: look for .detach(), .item(), "
            "argmax, torch.no_grad() around the training, or parameters that are all frozen."
        )
    return loss


def scalar(loss: Any) -> torch.Tensor:
    """The loss that a `step_fn` returned, detached.

    Raises:
        ProgramError: it is no single number.
    """
    if isinstance(loss, int | float):
        return torch.tensor(float(loss))
    if isinstance(loss, torch.Tensor) and loss.numel() == 1 and not loss.is_complex():
        return loss.detach().reshape(())
    raise ProgramError(
        f"Program.step_fn returned {_shown(loss)}, expected the step's loss as one number: end "
        "step_fn with 'return loss'."
    )


def _shown(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a {value.dtype} Tensor of shape {list(value.shape)}"
    return "None" if value is None else f"a {type(value).__name__}"
