"""What a range test is asked to do: a program, a copy of it, and rates that rise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from steadytrain.core.errors import UsageError
from steadytrain.core.program import Program

_MIN_STEPS: Final = 30


def as_program(program: Any, optimizer: Any, batches: Any, loss_fn: Any) -> Program:
    """What is to be trained, as one object.

    Raises:
        UsageError: it is not all there, or twice, or could be read once only.
    """
    parts = {"optimizer": optimizer, "batches": batches, "loss_fn": loss_fn}
    if isinstance(program, Program):
        extra = [name for name, part in parts.items() if part is not None]
        if extra:
            msg = f"lr_range_test got a Program and {', '.join(extra)} beside it"
            raise UsageError(f"{msg}: the Program has its own; pass one or the other.")
        if program.loss_fn is None or program.step_fn is not None:
            msg = "lr_range_test needs a program with a loss_fn, got one with a step_fn"
            raise UsageError(f"{msg}: a step_fn sets rates of its own. Give model and loss_fn.")
        return program
    missing = [name for name, part in parts.items() if part is None]
    if missing:
        msg = f"lr_range_test(model) lacks {', '.join(missing)}"
        raise UsageError(f"{msg}: pass model, optimizer, batches and loss_fn, or a Program.")
    if isinstance(batches, Iterator):
        msg = f"lr_range_test(batches): got a {type(batches).__name__}, which reading uses up"
        raise UsageError(f"{msg}: pass the DataLoader or a list, which can be read again.")
    return Program(model=program, clip=None, **parts)


def check_range(min_lr: float, max_lr: float, steps: int) -> None:
    """Raise if the rates do not rise, or the steps are too few."""
    if not 0.0 < min_lr < max_lr < math.inf:
        msg = f"lr_range_test needs 0 < min_lr < max_lr, got min_lr={min_lr}, max_lr={max_lr}"
        raise UsageError(f"{msg}: 1e-7 to 10 covers every usual optimizer.")
    if not isinstance(steps, int) or isinstance(steps, bool) or steps < _MIN_STEPS:
        msg = f"lr_range_test(steps): got {steps!r}, expected a whole number from {_MIN_STEPS} on"
        raise UsageError(f"{msg}: fewer cannot tell a fall from the noise of a batch.")


def copied(program: Program) -> Program:
    """A copy to train in the program's place; the data is shared."""
    try:
        return program.copy()
    except Exception as error:  # whatever a user's class raises when it is copied
        msg = f"lr_range_test could not copy the program ({type(error).__name__}: {error})"
        raise UsageError(f"{msg}: run it before attaching hooks or a watch.") from error
