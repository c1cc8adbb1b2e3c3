"""A stretch of code after which a program and every random generator are as they were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from steadytrain.checks._closures import modules_reached
from steadytrain.core.errors import ProgramError
from steadytrain.core.program import Program
from steadytrain.snapshots.rng import RandomSources


@contextmanager
def untouched(program: Program) -> Iterator[None]:
    """Puts back random generators, and whatever the user's functions can reach beside the copy.

    Raises:
        ProgramError: `loss_fn` or `step_fn` uses the model itself instead of the one it is given,
            so that no copy could be tried.
    """
    _check_functions(program)
    sources = RandomSources.of(program.model, program.batches)
    state = sources.capture()
    kept = _Kept(program)
    try:
        with torch.enable_grad():
            yield
    finally:
        kept.restore()
        sources.restore(state)


class _Kept:
    """The gradients, buffers and modes of every module that the user's functions can reach."""

    def __init__(self, program: Program) -> None:
        functions = (program.loss_fn, program.step_fn)
        modules = [program.model, *modules_reached(functions)]
        self._modes = [(m, m.training) for root in modules for m in root.modules()]
        self._buffers = [
            (buffer, buffer._version, buffer.detach().clone())
            for root in modules[1:]
            for buffer in root.buffers()
            if not isinstance(buffer, nn.UninitializedBuffer)
        ]
        self._gradients = [
            (p, p.grad, p.requires_grad) for root in modules for p in root.parameters()
        ]

    def restore(self) -> None:
        """Everything that changed is put back; what did not is not written to."""
        for module, mode in self._modes:
            if module.training != mode:
                module.training = mode
        for buffer, version, value in self._buffers:
            if buffer._version != version:
                with torch.no_grad():
                    buffer.copy_(value)
        for parameter, gradient, needed in self._gradients:
            if parameter.grad is not gradient:
                parameter.grad = gradient
            if parameter.requires_grad != needed:
                parameter.requires_grad_(needed)


def _check_functions(program: Program) -> None:
    own = {id(module) for module in program.model.modules()}
    for name in ("loss_fn", "step_fn"):
        for module, called in modules_reached((getattr(program, name),)).items():
            if id(module) in own or module is program.model:
                raise ProgramError(
                    f"Program.{name} uses the model itself, by the name {called!r}, expected the "
                    f"one it is given: the checks run {name} on a copy, and so does the doctor. "
                    "Use its first argument (step_fn: program.model) instead."
                )
